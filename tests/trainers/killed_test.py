import json
import os
import signal
import time

import numpy as np
import pytest
from driver import Driver
from driver import assert_same_end

STEPS = 100
FLAGS = [
    f"--steps={STEPS}",
    "--checkpoint_every=3",
    "--max_images=64",
]


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    driver = Driver(tmp_path_factory.mktemp("driver") / "log.txt", FLAGS)
    yield driver
    driver.close()


@pytest.fixture(scope="module")
def uninterrupted(driver, tmp_path_factory):
    run = tmp_path_factory.mktemp("uninterrupted") / "run"
    complete(driver, run)
    return run


def complete(driver, run):
    assert driver.end(driver.start(run)) == 0, driver.log.read_text()


def listing(run):
    # Checkpoints appear here, first aside, and go; rows are added.
    try:
        names = sorted(os.listdir(run / "checkpoints"))
        return names, (run / "metrics.csv").stat().st_size
    except FileNotFoundError:
        return None


def signal_after(driver, run, changes, number):
    """Starts a run and sends it a signal after so many changes of files."""
    process = driver.start(run)
    seen = listing(run)
    while changes:
        os.kill(process, 0)  # raises if it has come to its end
        found = listing(run)
        changes -= found != seen
        seen = found
        time.sleep(0.001)
    os.kill(process, number)
    return driver.end(process)


@pytest.mark.parametrize(
    "kills, seed", [(1, 0), pytest.param(10, 1, marks=pytest.mark.slow)]
)
def test_a_run_killed_at_random_moments_comes_to_the_same_end(
    driver, uninterrupted, tmp_path, kills, seed
):
    for changes in np.random.default_rng(seed).integers(1, 16, kills):
        status = signal_after(driver, tmp_path / "run", changes, signal.SIGKILL)
        assert status == -signal.SIGKILL, driver.log.read_text()
    complete(driver, tmp_path / "run")
    assert_same_end(tmp_path / "run", uninterrupted, STEPS)
    log = driver.log.read_text()
    assert "Skipping" not in log and "Continuing" in log
    left = [p.name for p in (tmp_path / "run").rglob(".*")]
    assert left == []


def test_a_run_told_to_terminate_saves_and_goes_on(
    driver, uninterrupted, tmp_path
):
    status = signal_after(driver, tmp_path / "run", 8, signal.SIGTERM)
    assert status == 143, driver.log.read_text()
    told = [x for x in driver.log.read_text().splitlines() if "SIGTERM" in x]
    step = int(told[-1].split("at step ")[1].split(";")[0])
    saved = tmp_path / "run" / "checkpoints" / f"step_{step:09}.npz"
    assert saved.is_file()
    complete(driver, tmp_path / "run")
    assert f"from step {step}." in driver.log.read_text()
    assert_same_end(tmp_path / "run", uninterrupted, STEPS)


def test_a_finished_run_is_left_as_it_is(driver, tmp_path):
    run = tmp_path / "run"
    flags = ["--steps=2", "--max_images=16", "--image_size=8"]
    assert driver.end(driver.start(run, *flags)) == 0, driver.log.read_text()
    wanted = json.loads((run / "config.json").read_text())
    assert (wanted["max_images"], wanted["image_size"]) == (16, 8)
    summary = json.loads((run / "summary.json").read_text())
    # Against so few digits, figures would compare with no others.
    assert summary["frechet_distance"] is None
    log = driver.log.read_text()
    assert "energy +" in log and f"{run}/samples.png" in log
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    assert driver.end(driver.start(run, *flags)) == 0
    assert f"{run} holds this run, finished" in driver.log.read_text()
    assert before == {path: path.stat().st_mtime_ns for path in run.rglob("*")}
