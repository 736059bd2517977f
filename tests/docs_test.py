import inspect
import pathlib
import re
import shlex
import subprocess
import sys
import textwrap

import pytest

import clel_tf
import clel_tf.export
from clel_tf import presets
from clel_tf.trainers import recipes

ROOT = pathlib.Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
DOCUMENTS = [ROOT / "README.md", *PAGES]
# Their Python is run elsewhere: with a server, or a checkpoint of PyTorch's.
RUN_ELSEWHERE = {"paper", "serving"}


def blocks_of(path, *languages):
    pattern = rf"```(?:{'|'.join(languages)})\n(.*?)```"
    return re.findall(pattern, path.read_text(), flags=re.DOTALL)


def without_blocks(path):
    return re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)


def anchors_of(path):
    headings = re.findall(r"^#+ (.*)$", without_blocks(path), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}


def test_every_page_is_in_the_contents_once():
    contents = "\n".join(
        blocks_of(DOCS / "index.md", re.escape("{toctree}"))
    ).split("\n")
    listed = [line for line in contents if line and not line.startswith(":")]
    pages = [str(p.relative_to(DOCS).with_suffix("")) for p in PAGES]
    assert sorted(["index", *listed]) == sorted(pages)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", without_blocks(path)):
        if re.match(r"https?:", target):
            continue
        name, _, anchor = target.partition("#")
        linked = (path.parent / name).resolve() if name else path
        assert linked.exists(), target
        assert not anchor or anchor in anchors_of(linked), target


def test_excerpts_are_what_their_files_hold():
    excerpts = [
        block
        for path in PAGES
        for block in blocks_of(path, "python")
        if block.startswith("# clel_tf/")
    ]
    assert len(excerpts) > 10
    for excerpt in excerpts:
        name, _, text = excerpt.partition("\n")
        source = (ROOT / name.removeprefix("# ")).read_text()
        for part in re.split(r"^\.\.\.\n", text, flags=re.MULTILINE):
            indented = [textwrap.indent(part, " " * n) for n in (0, 4, 8, 12)]
            assert any(f"\n{lines}" in source for lines in indented), excerpt


def test_every_pages_python_is_run():
    with_python = {
        path.stem
        for path in PAGES
        if any(
            not block.startswith("# clel_tf/")
            for block in blocks_of(path, "python")
        )
    }
    runner = (ROOT / "tests" / "readme_test.py").read_text()
    run = {name for name in with_python if f'"{name}"' in runner}
    assert with_python - run == RUN_ELSEWHERE


def commands():
    for path in DOCUMENTS:
        for block in blocks_of(path, "sh", "bash"):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("clel-"):
                    words = shlex.split(line, comments=True)
                    yield pytest.param(words, id=f"{path.name}: {line[:50]}")


@pytest.mark.parametrize("words", list(commands()))
def test_commands_have_such_flags(words):
    source = ROOT / "trainers" / f"{words[0].removeprefix('clel-')}.py"
    known = re.findall(r"DEFINE_\w+\(\s*\"(\w+)\"", source.read_text())
    flags = re.findall(r"^--(\w+)", "\n".join(words[1:]), re.MULTILINE)
    assert known and flags and set(flags) <= set(known)


@pytest.mark.parametrize(
    "words", [p for p in commands() if "--set" in p.values[0]]
)
def test_commands_change_recipes(words):
    (preset,) = [w[9:] for w in words if w.startswith("--preset=")]
    changes = [words[i + 1] for i, w in enumerate(words) if w == "--set"]
    recipe = recipes.override(presets.get(preset), changes)
    if preset == "digits":  # the others' take seconds each
        assert presets.build(recipe)


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("furo", reason="needs the extra `docs`")
    from sphinx.util.inventory import InventoryFile

    subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q"]
        + ["-d", tmp_path / "doctrees", DOCS, tmp_path / "site"],
        check=True,
    )
    page = (tmp_path / "site" / "method.html").read_text()
    assert '<math xmlns="http://www.w3.org/1998/Math/MathML"' in page
    with (tmp_path / "site" / "objects.inv").open("rb") as file:
        inventory = InventoryFile.load(file, "", lambda base, uri: uri)
    documented = {name for kind in inventory for name in inventory[kind]}
    missing = set(public_names(clel_tf, clel_tf.export)) - documented
    assert not missing
    commands = (tmp_path / "site" / "commands.html").read_text()
    assert "--checkpoint_every" in commands and "--max_steps" in commands


def public_names(*modules):
    for module in modules:
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if inspect.ismodule(value):
                yield from public_names(value)
            elif name != "__version__":
                yield f"{module.__name__}.{name}"
