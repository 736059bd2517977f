import pathlib
import re

import pytest

from clel_tf.export import export_sampler

README = pathlib.Path(__file__).parent.parent / "README.md"


def test_the_readmes_python_runs(tmp_path, monkeypatch):
    train, serve = re.findall(
        r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL
    )
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(train, "README.md", "exec"), names)
    assert names["images"].shape == (16, 8, 8, 1)
    assert names["similar"].shape == (4, 8, 8, 1)
    assert names["energies"].shape == names["scores"].shape == (4,)
    assert pathlib.Path("digits.keras").is_file()

    export_sampler(names["model"], "runs/digits/serving/digits", num_steps=2)
    names = {}
    exec(compile(serve, "README.md", "exec"), names)
    assert names["images"].shape == (3, 8, 8, 1)


@pytest.mark.parametrize(
    "name",
    [
        "augmentation",
        "data",
        "evaluation",
        pytest.param("keras", marks=pytest.mark.slow),
        "method",
        "ood",
        pytest.param("teachers", marks=pytest.mark.slow),
        pytest.param("training_runs", marks=pytest.mark.slow),
        pytest.param("divergence", marks=pytest.mark.slow),
        pytest.param("index", marks=pytest.mark.slow),
        pytest.param("own_data", marks=pytest.mark.slow),
        pytest.param("scaling", marks=pytest.mark.slow),
        pytest.param("settings", marks=pytest.mark.slow),
        pytest.param("steering", marks=pytest.mark.slow),
    ],
)
def test_the_docs_python_runs(name):
    text = (README.parent / "docs" / f"{name}.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert blocks
    names = {}
    for block in blocks:
        if block.startswith("# clel_tf/"):
            continue  # an excerpt, which docs_test.py compares with its file
        exec(compile(block, f"{name}.md", "exec"), names)


def test_the_docs_have_no_gaps():
    for path in (README, *README.parent.glob("docs/*.md")):
        assert "@@" not in path.read_text(), path
