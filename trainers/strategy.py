"""The devices and processes that make a run's steps together."""

import contextlib
import hashlib
import json
import os
import socket

import tensorflow as tf

from clel_tf import workers

STRATEGIES = ("auto", "mirrored", "multi_worker")

_TF_CONFIG = (
    '{"cluster": {"worker": ["host:port", ...]}, '
    '"task": {"type": "worker", "index": 0}}'
)
# What TensorFlow raises in a worker when another one has gone.
_LOST = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.FailedPreconditionError,  # started again, without the rest
    tf.errors.DeadlineExceededError,
    tf.errors.UnavailableError,
)


def make_strategy(name="auto"):
    """Makes a strategy; one of several workers waits for the others.

    That one has to be made before anything else starts TensorFlow's runtime.

    Args:
        name: "mirrored" for all GPUs of this machine, or all logical CPUs where
            it has none; "multi_worker" for those of all processes that the
            environment variable TF_CONFIG names; "auto" for whichever of them
            there are several of, or else for one device.

    Returns:
        `tf.distribute.Strategy`.

    Raises:
        ValueError: if there is no such strategy, or nothing to distribute to,
            or TF_CONFIG is not of its form.
        OSError: if another program has the port that TF_CONFIG gives, or other
            workers do not come.
    """
    if name not in STRATEGIES:
        raise ValueError(
            f"Expected strategy to be one of {', '.join(STRATEGIES)}; "
            f"received: {name!r}."
        )
    addresses, own = _cluster()
    if name == "multi_worker" and len(addresses) < 2:
        raise ValueError(
            "Expected the environment variable TF_CONFIG to name at least two "
            f"workers, as in {_TF_CONFIG}; received: "
            f"{os.environ.get('TF_CONFIG')!r}."
        )
    if name != "mirrored" and len(addresses) > 1:
        _check_port(own)
        print(f"Waiting for all {len(addresses)} workers.", flush=True)
        with _told(_LOST):
            return tf.distribute.MultiWorkerMirroredStrategy()
    devices = tf.config.list_logical_devices("GPU")
    if name == "mirrored":
        devices = devices or tf.config.list_logical_devices("CPU")
        if len(devices) < 2:
            raise ValueError(
                "Expected at least two devices for the strategy mirrored; "
                f"received: {', '.join(device.name for device in devices)}."
            )
    if len(devices) > 1:
        return tf.distribute.MirroredStrategy([d.name for d in devices])
    return tf.distribute.get_strategy()


def check_batch_size(strategy, batch_size):
    """Raises unless all replicas of a strategy get as many images."""
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise ValueError(
            f"Expected batch_size to be a multiple of the {replicas} replicas; "
            f"received: {batch_size}."
        )


def distribute(strategy, batches):
    """Gives each replica its part of every batch, as one process would.

    Args:
        strategy: `tf.distribute.Strategy`.
        batches: `tf.data.Dataset` of tensors `[batch_size, ...]`, or of tuples
            of them, the same on all workers.

    Returns:
        What `fit` takes: replica `i` of `n` gets rows `i batch_size / n` and
        following.
    """
    if not workers.are_several(strategy):
        return batches  # `fit` does it
    replicas = strategy.num_replicas_in_sync
    local = workers.local_replicas(strategy)

    def part(rows):
        return tf.gather(tf.stack(tf.split(rows, replicas)), local)

    def parts(*batch):
        found = tuple(map(part, batch))
        return found if len(found) > 1 else found[0]

    return strategy.distribute_datasets_from_function(
        lambda _: batches.map(parts).unbatch().prefetch(tf.data.AUTOTUNE)
    )


def check_same_start(strategy, configuration, step):
    """Raises unless all workers begin the same.

    All of them have to call it; none goes on before all have.

    Args:
        strategy: `tf.distribute.Strategy`.
        configuration: dict of JSON's types. This worker's.
        step: int. The one that this worker has restored.

    Raises:
        ValueError: on all workers, if one differs from the first.
    """
    if not workers.are_several(strategy):
        return
    text = json.dumps(configuration, sort_keys=True).encode()
    digest = int.from_bytes(hashlib.sha256(text).digest()[:4], "big")
    own = tf.constant([digest, step], tf.int64)
    (starts,) = workers.gatherer(strategy, lambda: (own,))()
    digests, steps = starts.T
    if (digests != digests[0]).any():
        raise ValueError(
            "Expected the same flags, and the same precision of networks, of "
            "all workers; received others in replica "
            f"{(digests != digests[0]).argmax()} than in the first."
        )
    if (steps != steps[0]).any():
        raise ValueError(
            "Expected the workers to continue from one step; received: "
            f"{', '.join(map(str, steps))}. They need a directory that all of "
            "them share."
        )


def lost_workers_told(strategy):
    """Context that tells in a line that another worker has gone.

    Raises:
        OSError: in place of what TensorFlow raises then.
    """
    return _told(_LOST if workers.are_several(strategy) else ())


@contextlib.contextmanager
def _told(errors):
    try:
        yield
    except errors as error:
        raise OSError(
            "Another worker has ended or cannot be reached. Start all of them "
            "again: they continue from the last checkpoint."
        ) from error


def wait_for_all(strategy, is_done):
    """Keeps a worker from leaving while another one needs it.

    Args:
        strategy: `tf.distribute.Strategy`.
        is_done: function of nothing. Whether nothing is left to do, so that
            others may have gone.
    """
    if workers.are_several(strategy):
        try:
            workers.gatherer(strategy, lambda: (tf.constant(0),))()
        except _LOST:
            if not is_done():
                raise


def _cluster():
    """Addresses of all workers, and this process's own, by TF_CONFIG."""
    text = os.environ.get("TF_CONFIG")
    if not text:
        return [], None
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        kind, index = task["type"], int(task["index"])
        others = set(cluster) - {"chief", "worker"}
        addresses = [a for job in cluster.values() for a in job]
        own = cluster[kind][index] if index >= 0 else None
        ports = [int(address.rpartition(":")[2]) for address in addresses]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        own = None
    if own is None or others or not all(0 < port < 2**16 for port in ports):
        raise ValueError(
            f"Expected the environment variable TF_CONFIG to be {_TF_CONFIG}, "
            f"with the index of one of the workers; received: {text!r}."
        )
    return addresses, own


def _check_port(address):
    port = int(address.rpartition(":")[2])
    with socket.socket() as probe:
        # Connections of a process before this one do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            raise OSError(
                f"Expected port {port} of {address}, this worker in TF_CONFIG, "
                f"to be free: {error}."
            ) from error
