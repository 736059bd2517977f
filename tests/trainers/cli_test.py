import json
import subprocess
import sys

import pytest

# One import of TensorFlow, then a process of its own for every command line.
DRIVER = """
import importlib, json, os, sys, tempfile, traceback
import clel_tf

def run(name, arguments):
    sys.argv = [f"/bin/clel-{name}", *arguments]
    try:
        importlib.import_module(f"clel_tf.trainers.{name}").run()
    except SystemExit as end:
        return end.code or 0
    except Exception:
        traceback.print_exc()
        return 1

results = []
for name, *arguments in json.load(sys.stdin):
    out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
    child = os.fork()
    if not child:
        os.dup2(out.fileno(), 1), os.dup2(err.fileno(), 2)
        status = run(name, arguments)
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(status)  # TensorFlow's orderly end takes seconds
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    texts = [f.seek(0) or f.read().decode() for f in (out, err)]
    results.append([status, *texts])
print(json.dumps(results))
"""

WRONG_FLAGS = {
    "unknown": (["sample", "--nmu=3"], "'nmu'"),
    "no_integer": (["sample", "--num=many"], "--num=many"),
    "zero": (["sample", "--num=0"], "--num=0"),
    "missing": (["sample", "--workdir=run"], "--out"),
    "positional": (
        ["sample", "--workdir=run", "--out=a.png", "more"],
        "received: more",
    ),
    "export_missing": (["export", "--workdir=run"], "--export_dir"),
    "export_zero": (["export", "--steps=0"], "--steps=0"),
    "export_dtype": (
        ["export", "--export_dir=a", "--workdir=b", "--dtype=int32"],
        "--dtype=int32",
    ),
    "export_of_nothing": (["export", "--export_dir=a"], "--workdir"),
    "export_of_two": (
        ["export", "--export_dir=a", "--workdir=b", "--model=c"],
        "--workdir",
    ),
    "train_unknown": (["train", "--workdir=x", "--wrong=1"], "wrong"),
    "train_missing": (["train"], "--workdir"),
    "train_zero": (["train", "--workdir=x", "--steps=0"], "--steps=0"),
    "train_guard": (["train", "--workdir=x", "--guard=on"], "--guard=on"),
}
WRONG_PATHS = {
    "suffix": (["sample", "--workdir=run", "--out=a.jpg"], "a.jpg"),
    "exists": (["sample", "--workdir=run", "--out=old.png"], "--overwrite"),
    "folder": (["sample", "--workdir=run", "--out=no/a.png"], "no"),
    "no_run": (["sample", "--workdir=no", "--out=a.png"], "no/model.keras"),
    "no_model": (["sample", "--workdir=run", "--out=a.png"], "model.keras"),
    "export_no_model": (
        ["export", "--model=no.keras", "--export_dir=served"],
        "no.keras",
    ),
    "export_no_run": (
        ["export", "--workdir=no", "--export_dir=served"],
        "no/model.keras",
    ),
    "train_preset": (["train", "--workdir=x", "--preset=nothing"], "digits"),
    "train_images": (["train", "--workdir=x", "--max_images=5000"], "1437"),
    "train_size": (["train", "--workdir=x", "--image_size=9"], "received: 9"),
}
RUN = ["--workdir=run", "--out=a.png"]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    (folder / "old.png").write_text("mine")
    (folder / "run").mkdir()
    (folder / "run" / "model.keras").write_text("no model")
    commands = {k: v[0] for k, v in (WRONG_FLAGS | WRONG_PATHS).items()}
    commands["help"] = ["sample", "--help"]
    commands["export_help"] = ["export", "--workdir=run", "--help"]
    commands["traceback"] = ["sample", *RUN, "--verbosity=1"]
    before = sorted(folder.rglob("*"))
    driver = subprocess.run(
        [sys.executable, "-c", DRIVER],
        input=json.dumps(list(commands.values())),
        check=True,
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert sorted(folder.rglob("*")) == before
    return dict(zip(commands, json.loads(driver.stdout), strict=True))


@pytest.mark.parametrize("case", WRONG_FLAGS)
def test_a_wrong_flag_is_told_in_one_line(results, case):
    (name, *_), told = WRONG_FLAGS[case]
    _check_line(results[case], name, told, 2)


@pytest.mark.parametrize("case", WRONG_PATHS)
def test_a_wrong_path_is_told_in_one_line(results, case):
    (name, *_), told = WRONG_PATHS[case]
    _check_line(results[case], name, told, 1)


def _check_line(result, name, told, expected):
    status, out, err = result
    assert (status, out) == (expected, "")
    # Before it, TensorFlow may tell that it looks for GPUs ("CUDA error: ...").
    line = err.splitlines()[-1]
    assert line.startswith(f"clel-{name}: error: ") and told in line
    assert err.count(": error: ") == 1 and "Traceback" not in err


@pytest.mark.parametrize("case", ["help", "export_help"])
def test_help_names_an_example_and_every_flag(results, case):
    status, out, err = results[case]
    assert (status, err) == (0, "")
    assert "--workdir=runs/digits" in out
    for flag in ("--workdir", "--steps"):
        assert f"\n  {flag} " in out
    assert max(map(len, out.splitlines())) <= 80


def test_help_tells_defaults(results):
    assert "Number of images. Default: 64." in results["help"][1]


def test_a_traceback_is_there_for_the_asking(results):
    status, _, err = results["traceback"]
    assert status != 0 and "Traceback" in err and "runs.py" in err
