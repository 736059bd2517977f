import pathlib
import re
import sys
import sysconfig
import venv

import pytest

api = pytest.importorskip("mypy.api")
pytestmark = pytest.mark.slow  # 14 s of a processor, for NumPy's types mostly

_ROOT = pathlib.Path(__file__).parents[1]

# Beside a line stands what the checker is to say of it, or the beginning.
_RIGHT = """\
import pathlib

import numpy as np

import clel_tf
from clel_tf.export import SamplerClient
from clel_tf.export import export_sampler
from clel_tf.samplers import energies

digits = clel_tf.data.load("digits").take(100)
model = clel_tf.models.CLEL.from_preset("digits", seed=1)
model.compile(total_steps=20)
grid = clel_tf.callbacks.SampleGrid(pathlib.Path("grids"), every=10)
batches = digits.train(batch_size=64, seed=0)
model.fit(batches, steps_per_epoch=20, callbacks=[grid])
reveal_type(model.sample(4))  # numpy.ndarray
latents = model.latents(digits.x_train[:4])
reveal_type(latents)  # numpy.ndarray
half = energies.Conditional(latents[0]) | energies.Conditional(latents[1])
images = model.sample(4, energy=half, sampler=clel_tf.samplers.SGLD())
score = clel_tf.ood.Typicality()
reveal_type(model.calibrate_ood(images, score=score))  # float
reveal_type(model.is_ood(images))  # numpy.ndarray
distance = clel_tf.metrics.frechet_distance(latents, [[0.0, 1.0]])
reveal_type(distance)  # float
balls = clel_tf.metrics.prdc(images, np.zeros((4, 8, 8, 1)))
reveal_type(balls.coverage)  # float
reveal_type(clel_tf.presets.list())  # list[str]
other = clel_tf.presets.build(clel_tf.presets.get("digits"))
reveal_type(other.score(images))  # numpy.ndarray
path = export_sampler(model, "serving/digits", num_steps=4)
reveal_type(path)  # pathlib
with SamplerClient("localhost:8500", "digits") as client:
    reveal_type(client.sample(4, class_id=3))  # numpy.ndarray
"""
_WRONG = """\
import clel_tf
from clel_tf.export import SamplerClient

digits = clel_tf.data.load("digits")
model = clel_tf.models.CLEL.from_preset("digits")
model.sample("four")  # arg-type
model.latents(digits.images)  # attr-defined
name: str = model.calibrate_ood(model.sample(99))  # assignment
SamplerClient("localhost:8500", "digits", retry=3)  # call-arg
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What mypy says of both scripts, where the library is installed."""
    folder = tmp_path_factory.mktemp("typing")
    venv.create(folder / "venv")
    bases = dict.fromkeys(("base", "platbase"), folder / "venv")
    site = pathlib.Path(sysconfig.get_path("purelib", "venv", bases))
    (site / "clel_tf").mkdir()
    for path in (*_ROOT.glob("clel_tf/*"), _ROOT / "export"):
        (site / "clel_tf" / path.name).symlink_to(path)
    others = [path for path in sys.path if path.endswith("site-packages")]
    (site / "others.pth").write_text("\n".join(others))
    python = pathlib.Path(
        sysconfig.get_path("scripts", "venv", bases), "python"
    )
    (folder / "right.py").write_text(_RIGHT)
    (folder / "wrong.py").write_text(_WRONG)
    options = ["--config-file=", f"--python-executable={python}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        output, errors, _ = api.run([*options, "right.py", "wrong.py"])
    assert not errors
    return output.replace("builtins.", "")


def _expected(script):
    lines = enumerate(script.splitlines(), 1)
    notes = ((number, line.partition("  # ")[2]) for number, line in lines)
    return [(number, note) for number, note in notes if note]


def test_right_use_is_understood(told):
    assert "right.py" in told and not re.search("^right.py.* error", told, re.M)
    revealed = re.findall(r'^right.py:(\d+): .* type is "(.*)"$', told, re.M)
    for found, (number, kind) in zip(revealed, _expected(_RIGHT), strict=True):
        assert int(found[0]) == number
        assert found[1].startswith(kind)


def test_wrong_use_is_told(told):
    errors = re.findall(r"^wrong.py:(\d+): error: .*\[(.*)\]$", told, re.M)
    found = [(int(number), kind) for number, kind in errors]
    assert sorted(found) == _expected(_WRONG)
