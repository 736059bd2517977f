import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from driver import Driver
from driver import assert_same_end
from two_workers import free_addresses

from clel_tf.trainers import runs

pytestmark = pytest.mark.slow

SUPERVISE = pathlib.Path(__file__).parents[2] / "deploy" / "supervise.py"
STEPS = 40
FLAGS = [
    f"--steps={STEPS}",
    "--checkpoint_every=4",
    "--sample_every=20",
    "--max_images=64",
    "--set=energy_network.dtype=float32",
    "--set=encoder.dtype=float32",
]
PATIENCE = 600.0  # seconds, on a machine that has much else to do


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    driver = Driver(tmp_path_factory.mktemp("driver") / "log.txt", FLAGS)
    yield driver
    driver.close()


@pytest.fixture(scope="module")
def two_workers(driver, tmp_path_factory):
    run = tmp_path_factory.mktemp("two_workers") / "run"
    processes = start_workers(driver, run)
    assert end_workers(driver, processes) == [0, 0], logs(run)
    return run


def start_workers(driver, run, *flags):
    addresses = free_addresses(2)
    return [
        driver.start(
            run,
            "--strategy=multi_worker",
            *flags,
            log=f"{run}.{index}.txt",
            environment={"TF_CONFIG": tf_config(addresses, index)},
        )
        for index in range(2)
    ]


def end_workers(driver, processes):
    return [driver.end(process) for process in processes]


def tf_config(addresses, index):
    task = {"type": "worker", "index": index}
    return json.dumps({"cluster": {"worker": addresses}, "task": task})


def logs(run):
    return "".join(pathlib.Path(f"{run}.{i}.txt").read_text() for i in range(2))


def values(run):
    return np.genfromtxt(run / "metrics.csv", delimiter=",", names=True)


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_two_workers_make_the_steps_of_two_devices_of_one(driver, tmp_path):
    # Few steps: those of so small an encoder amplify what rounding leaves.
    processes = start_workers(driver, tmp_path / "two", "--steps=4")
    assert end_workers(driver, processes) == [0, 0], logs(tmp_path / "two")
    process = driver.start(
        tmp_path / "one", "--steps=4", "--strategy=mirrored", devices=2
    )
    assert driver.end(process) == 0, driver.log.read_text()
    ours, theirs = values(tmp_path / "two"), values(tmp_path / "one")
    assert ours.dtype.names == theirs.dtype.names and ours["step"] == 4
    for name in ours.dtype.names:
        np.testing.assert_allclose(ours[name], theirs[name], 1e-4, 1e-7, name)
    name = "checkpoints/step_000000004.npz"
    with (
        np.load(tmp_path / "two" / name) as ours,
        np.load(tmp_path / "one" / name) as theirs,
    ):
        assert ours.files == theirs.files and len(ours.files) > 50
        for name in set(ours.files) - {"record"}:
            scale = float(np.abs(theirs[name]).max())
            np.testing.assert_allclose(
                ours[name], theirs[name], rtol=0, atol=0.02 * scale + 1e-6
            )
        ages = theirs["replay_buffer/ages"]
        np.testing.assert_array_equal(ours["replay_buffer/ages"], ages)


def test_the_chief_alone_prints_and_writes(two_workers):
    chief, other = (
        pathlib.Path(f"{two_workers}.{index}.txt").read_text()
        for index in range(2)
    )
    assert "energy +" in chief and "samples.png" in chief
    assert "energy" not in other and "samples.png" not in other
    steps = values(two_workers)["step"].tolist()
    assert steps == list(range(10, STEPS + 1, 10))
    assert len(list((two_workers / "tensorboard").iterdir())) == 1
    model = runs.load_model(two_workers)
    assert model.replay_buffer.images.shape == (64, 8, 8, 1)


def test_a_finished_run_is_left_by_all_workers(driver, two_workers):
    before = (two_workers / "summary.json").stat().st_mtime_ns
    processes = start_workers(driver, two_workers)
    assert end_workers(driver, processes) == [0, 0], logs(two_workers)
    assert (two_workers / "summary.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("victim", [0, 1])
def test_workers_end_with_a_killed_one_and_go_on_together(
    victim, driver, two_workers, tmp_path
):
    run = tmp_path / "run"
    processes = start_workers(driver, run)
    wait_for((run / "checkpoints" / "step_000000012.npz").exists)
    os.kill(processes[victim], signal.SIGKILL)
    statuses = end_workers(driver, processes)
    assert statuses[victim] == -signal.SIGKILL
    assert statuses[1 - victim] == 1, logs(run)
    assert "error: Another worker has ended" in logs(run)
    processes = start_workers(driver, run)
    assert end_workers(driver, processes) == [0, 0], logs(run)
    assert "Continuing" in logs(run)
    assert_same_end(run, two_workers, STEPS)


def test_one_process_goes_on_with_what_two_workers_began(driver, tmp_path):
    run = tmp_path / "run"
    processes = start_workers(driver, run)
    wait_for((run / "checkpoints" / "step_000000012.npz").exists)
    for process in processes:
        os.kill(process, signal.SIGTERM)
    statuses = set(end_workers(driver, processes))
    assert 143 in statuses and statuses <= {143, 1}, logs(run)
    assert driver.end(driver.start(run)) == 0, driver.log.read_text()
    log = driver.log.read_text()
    assert "made with 2 replicas, and training goes on with 1" in log
    assert values(run)["step"][-1] == STEPS


def test_supervised_workers_come_to_the_same_end_when_one_is_killed(
    driver, two_workers, tmp_path
):
    run = tmp_path / "run"
    command = [sys.executable, "-m", "clel_tf.trainers.train", *driver.flags]
    supervisor = subprocess.Popen(
        [sys.executable, SUPERVISE, "--workers=2", "--restarts=1", "--"]
        + [*command, f"--workdir={run}"],
        stdout=subprocess.PIPE,
        text=True,
    )
    wait_for((run / "checkpoints" / "step_000000012.npz").exists)
    os.kill(newest_child(supervisor.pid), signal.SIGKILL)
    printed = supervisor.communicate()[0]
    assert supervisor.returncode == 0, printed
    assert "ended with -9" in printed and "Starting all again (1)" in printed
    assert_same_end(run, two_workers, STEPS)


def newest_child(process):
    path = pathlib.Path(f"/proc/{process}/task/{process}/children")
    return int(path.read_text().split()[-1])
