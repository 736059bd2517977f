import pathlib
import signal
import subprocess
import sys

import pytest

SUPERVISE = pathlib.Path(__file__).parents[2] / "deploy" / "supervise.py"
# A worker that knows its number, and how often all have been started.
WORKER = """
import json, os, pathlib, signal, sys, time
index = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
starts = pathlib.Path(sys.argv[1], str(index))
starts.write_text(starts.read_text() + "." if starts.exists() else ".")
"""


def supervise(code, directory, *options):
    command = [sys.executable, "-c", WORKER + code, str(directory)]
    return subprocess.Popen(
        [sys.executable, SUPERVISE, "--workers=2", *options, "--", *command],
        stdout=subprocess.PIPE,
        text=True,
    )


def ended(process):
    printed = process.communicate(timeout=60)[0]
    return process.returncode, printed


def starts(directory):
    return [len((directory / str(index)).read_text()) for index in range(2)]


def test_all_that_end_well_are_started_once(tmp_path):
    assert ended(supervise("", tmp_path)) == (0, "")
    assert starts(tmp_path) == [1, 1]


def test_all_are_started_again_when_one_is_killed(tmp_path):
    code = """
if starts.read_text() == ".":
    if index:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(600)
"""
    status, printed = ended(supervise(code, tmp_path))
    assert status == 0 and starts(tmp_path) == [2, 2]
    assert printed.splitlines() == [
        "Worker 1 ended with -9.",
        "Starting all again (1).",
    ]


@pytest.mark.parametrize("status, times", [(3, 3), (2, 1)])
def test_the_status_of_a_failure_that_stays(status, times, tmp_path):
    # Only the flags' status is not tried again.
    code = f"sys.exit({status} * index)"
    assert ended(supervise(code, tmp_path, "--restarts=2"))[0] == status
    assert starts(tmp_path) == [times, times]


def test_workers_do_not_outlive_it(tmp_path):
    code = """
os.write(1, f"{os.getpid()}\\n".encode())  # whole
time.sleep(600)
"""
    process = supervise(code, tmp_path)
    workers = [int(process.stdout.readline()) for _ in range(2)]
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 143
    assert not any(
        pathlib.Path(f"/proc/{worker}").exists() for worker in workers
    )
