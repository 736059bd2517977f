import configparser
import pathlib
import subprocess
import sys
import tarfile
import venv
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parent.parent
SMOKE = """
import clel_tf

assert "site-packages" in clel_tf.__file__
digits = clel_tf.data.load("digits")
model = clel_tf.models.CLEL.from_preset("digits")
model.compile(total_steps=2)
model.fit(digits.train(64, seed=0), steps_per_epoch=2, verbose=0)
assert model.sample(2, num_steps=2).shape == (2, 8, 8, 1)
model.save("model.keras")
"""


def test_every_package_is_installed():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    found = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for folder in ("clel_tf", "export", "trainers")
        for path in (ROOT / folder).rglob("__init__.py")
    }
    # They are installed within the library.
    expected = {
        name if name.startswith("clel_tf") else f"clel_tf.{name}"
        for name in found
    }
    assert set(parser["options"]["packages"].split()) == expected


@pytest.mark.slow
def test_wheel_and_sdist_install_and_work(tmp_path):
    _run("-m", "build", "--outdir", tmp_path, ROOT)
    [wheel], [sdist] = tmp_path.glob("*.whl"), tmp_path.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
    folders = {name.split("/")[0] for name in names}
    assert {f.split("-")[0] for f in folders} == {"clel_tf"}
    packaged = {pathlib.PurePath(name).suffix for name in names}
    assert packaged == {".py", ".typed", ".html", ".css", "", ".txt"}
    assert not [name for name in names if "test" in name or "bench" in name]
    with tarfile.open(sdist) as file:
        parts = {name.split("/", 2)[1] for name in file.getnames()[1:]}
    assert {"README.md", "LICENSE", "clel_tf", "trainers"} <= parts
    assert not {"tests", "benchmarks", "docs", "runs"} & parts

    # As a user's checker sees it: all three packages, and none of the sources.
    with zipfile.ZipFile(wheel) as file:
        file.extractall(tmp_path / "installed")
    configuration = ["--config-file", ROOT / "pyproject.toml"]
    checked = tmp_path / "installed"
    _run("-m", "mypy", *configuration, "-p", "clel_tf", cwd=checked)

    environment = tmp_path / "environment"
    venv.create(environment)  # whose pip is ours: some Pythons bring none
    _run("-m", "pip", "--python", environment, "install", "--quiet", wheel)
    binaries = environment / "bin"
    _run("-c", SMOKE, python=binaries / "python", cwd=tmp_path)
    small = ["--preset=digits", "--steps=2", "--workdir=run"]
    for command in (
        ["clel-train", *small],
        ["clel-sample", "--workdir=run", "--num=2", "--out=a.png"],
        ["clel-export", "--workdir=run", "--export_dir=served"],
        ["clel-evaluate", "--help"],
    ):
        _run(*command[1:], python=binaries / command[0], cwd=tmp_path)
    assert (tmp_path / "a.png").is_file()
    assert (tmp_path / "served" / "1" / "saved_model.pb").is_file()


def _run(*arguments, python=sys.executable, cwd=None):
    subprocess.run([python, *arguments], check=True, cwd=cwd)
