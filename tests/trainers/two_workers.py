"""What two real workers see, each in a process of its own.

Run with a directory, in which each of them leaves an `.npz` of arrays.
"""

import json
import os
import pathlib
import socket
import sys

import numpy as np
import tensorflow as tf

from clel_tf import random
from clel_tf import workers
from clel_tf.samplers import ReplayBuffer
from clel_tf.trainers import strategy as strategies

BATCHES = np.arange(5 * 4 * 2, dtype="uint8").reshape(5, 4, 2)
STEPS = [7, 9]
CHAINS = 8


def observe(index):
    strategy = strategies.make_strategy("auto")
    seen = {
        "is_chief": workers.is_chief(strategy),
        "are_several": workers.are_several(strategy),
        "local_replicas": workers.local_replicas(strategy),
    }
    batches = tf.data.Dataset.from_tensor_slices(BATCHES)
    seen["rows"] = [
        strategy.experimental_local_results(rows)[0].numpy()
        for rows in strategies.distribute(strategy, batches)
    ]
    seen |= buffers(strategy)
    strategies.check_same_start(strategy, {"seed": 0}, STEPS[0])
    for name, start in (
        ("different_steps", ({"seed": 0}, STEPS[index])),
        ("different_flags", ({"seed": index}, STEPS[0])),
    ):
        try:
            strategies.check_same_start(strategy, *start)
        except ValueError as error:
            seen[name] = str(error)
    return strategy, seen


def buffers(strategy):
    """A buffer's chains as built, after writes, and as restored."""
    with strategy.scope():
        buffer = ReplayBuffer(CHAINS, seed=3)
        buffer.build((None, 2, 2, 1))
    built = {}
    buffer.save_own_variables(built)

    @tf.function
    def write():
        def replica():
            number = tf.distribute.get_replica_context()
            number = tf.cast(number.replica_id_in_sync_group, tf.int32)
            chains = buffer.draw(random.as_key(0), 4, restart=False)
            ages = chains.ages + 10 * (number + 1)
            brightness = tf.cast(number + 1, tf.float32) / 4.0
            images = tf.zeros_like(chains.images) + brightness
            buffer.write(chains._replace(images=images, ages=ages))

        strategy.run(replica)

    write()
    written = {}
    buffer.save_own_variables(written)
    buffer.load_own_variables(built)
    restored = {}
    buffer.save_own_variables(restored)
    return {
        f"{name}_{part}": array
        for name, parts in (
            ("built", built),
            ("written", written),
            ("restored", restored),
        )
        for part, array in parts.items()
    }


def work(index, addresses, directory):
    os.environ["TF_CONFIG"] = json.dumps(
        {
            "cluster": {"worker": addresses},
            "task": {"type": "worker", "index": index},
        }
    )
    strategy, seen = observe(index)
    path = pathlib.Path(directory) / f"{index}.npz"
    # Leaves at once, without a word to the other.
    if index:
        np.savez(path, **seen)
        os._exit(0)
    try:
        with strategies.lost_workers_told(strategy):
            while True:
                workers.gatherer(strategy, lambda: (tf.constant(0),))()
    except OSError as error:
        seen["lost"] = str(error)
    strategies.wait_for_all(strategy, lambda: True)
    try:
        strategies.wait_for_all(strategy, lambda: False)
    except tf.errors.OpError:
        seen["left_alone"] = True
    np.savez(path, **seen)


def free_addresses(count):
    sockets = [socket.socket() for _ in range(count)]
    for free in sockets:
        free.bind(("127.0.0.1", 0))
    addresses = [f"127.0.0.1:{free.getsockname()[1]}" for free in sockets]
    for free in sockets:
        free.close()
    return addresses


if __name__ == "__main__":
    addresses = free_addresses(2)
    chief = os.fork()
    work(0 if chief else 1, addresses, sys.argv[1])
