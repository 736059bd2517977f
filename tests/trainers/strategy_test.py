import json
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from clel_tf.samplers import ReplayBuffer
from clel_tf.trainers import strategy as strategies

SCRIPT = pathlib.Path(__file__).parent / "two_workers.py"


def tf_config(addresses=("a:1", "b:2"), index=0, **jobs):
    return json.dumps(
        {
            "cluster": {"worker": addresses, **jobs},
            "task": {"type": "worker", "index": index},
        }
    )


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    directory = tmp_path_factory.mktemp("workers")
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), str(directory)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    return [dict(np.load(directory / f"{index}.npz")) for index in range(2)]


@pytest.fixture(scope="module")
def mirrored():
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def test_each_worker_has_a_replica_and_one_is_the_chief(seen):
    for index, worker in enumerate(seen):
        assert worker["are_several"]
        assert worker["is_chief"] == (index == 0)
        assert worker["local_replicas"].tolist() == [index]


def test_replicas_get_the_rows_that_they_get_in_one_process(seen, mirrored):
    batches = np.arange(40, dtype="uint8").reshape(5, 4, 2)
    # As `fit` does it in one process.
    distributed = mirrored.experimental_distribute_dataset(
        tf.data.Dataset.from_tensor_slices(batches)
    )
    expected = [[x.numpy() for x in rows.values] for rows in distributed]
    for index, worker in enumerate(seen):
        assert len(worker["rows"]) == len(batches)
        for step, rows in enumerate(worker["rows"]):
            np.testing.assert_array_equal(rows, expected[step][index])
            np.testing.assert_array_equal(
                rows, batches[step, 2 * index : 2 * index + 2]
            )


def test_workers_begin_with_the_chains_of_one_process(seen):
    alone = ReplayBuffer(8, seed=3)
    alone.build((None, 2, 2, 1))
    stored = {}
    alone.save_own_variables(stored)
    for worker in seen:
        for part in ("images", "ages"):
            received = worker[f"built_{part}"]
            assert received.dtype == stored[part].dtype
            np.testing.assert_array_equal(received, stored[part])


def test_every_worker_gathers_the_chains_of_all(seen):
    for worker in seen:
        ages = worker["built_ages"] + np.repeat([10, 20], 4)
        np.testing.assert_array_equal(worker["written_ages"], ages)
        images = np.repeat([64, 128], 4)[:, None, None, None]
        np.testing.assert_array_equal(
            worker["written_images"], np.broadcast_to(images, (8, 2, 2, 1))
        )


def test_every_worker_takes_its_own_of_saved_chains(seen):
    for worker in seen:
        for part in ("images", "ages"):
            np.testing.assert_array_equal(
                worker[f"restored_{part}"], worker[f"built_{part}"]
            )


def test_workers_that_restored_different_steps_all_refuse(seen):
    for worker in seen:
        assert "received: 7, 9. They need" in str(worker["different_steps"])


def test_workers_of_different_flags_all_refuse(seen):
    for worker in seen:
        assert "in replica 1 than" in str(worker["different_flags"])


def test_a_lost_worker_is_told_in_a_line(seen):
    assert "Another worker has ended" in str(seen[0]["lost"])


def test_a_worker_left_alone_fails_unless_all_is_done(seen):
    assert seen[0]["left_alone"]


@pytest.mark.parametrize(
    "text",
    [
        "not JSON",
        "[]",
        "{}",
        '{"cluster": {"worker": ["a:1", "b:2"]}}',
        tf_config(index=2),
        tf_config(index=-1),
        tf_config(addresses=["a", "b"]),
        tf_config(addresses=["a:1", "b:0"]),
        tf_config(ps=["c:3"]),
        tf_config(evaluator=["c:3"]),
    ],
)
@pytest.mark.parametrize("name", ["auto", "multi_worker"])
def test_a_wrong_tf_config_is_told_with_its_form(name, text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match="TF_CONFIG to be {") as refused:
        strategies.make_strategy(name)
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize("text", ["", tf_config(addresses=["a:1"])])
def test_one_worker_is_no_cluster(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match="at least two workers"):
        strategies.make_strategy("multi_worker")
    assert strategies.make_strategy("auto").num_replicas_in_sync == 1


def test_a_port_in_use_is_told_before_anything_waits(monkeypatch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        own = [f"127.0.0.1:{port}", "127.0.0.1:1"]
        monkeypatch.setenv("TF_CONFIG", tf_config(addresses=own))
        with pytest.raises(OSError, match=f"port {port} of 127.0.0.1"):
            strategies.make_strategy()


def test_mirrored_takes_all_devices(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    strategy = strategies.make_strategy("mirrored")
    assert strategy.num_replicas_in_sync == 2


def test_mirrored_needs_two_devices(monkeypatch):
    devices = tf.config.list_logical_devices("CPU")[:1]
    monkeypatch.setattr(
        tf.config,
        "list_logical_devices",
        lambda kind: devices if kind == "CPU" else [],
    )
    with pytest.raises(ValueError, match="two devices.*received: /device:CPU:"):
        strategies.make_strategy("mirrored")


def test_another_strategy_than_there_is_is_refused():
    with pytest.raises(ValueError, match="multi_worker; received: 'tpu'"):
        strategies.make_strategy("tpu")


def test_batches_have_to_be_shared_equally(mirrored):
    strategies.check_batch_size(mirrored, 4)
    with pytest.raises(ValueError, match="multiple of the 2 replicas.*: 5"):
        strategies.check_batch_size(mirrored, 5)
