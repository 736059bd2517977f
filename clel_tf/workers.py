"""Replicas of a `tf.distribute` strategy that may be in several processes.

Under `MultiWorkerMirroredStrategy` each process, a worker, has some of the
replicas; under any other, one process has them all.
"""

import numpy as np
import tensorflow as tf


def are_several(strategy):
    """Whether some of a strategy's replicas are in other processes.

    Args:
        strategy: `tf.distribute.Strategy`.

    Example:

    >>> are_several(tf.distribute.get_strategy())
    False
    """
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return False
    local = len(strategy.extended.worker_devices)
    return strategy.num_replicas_in_sync > local


def is_chief(strategy):
    """Whether this process is the one that writes files and prints.

    Args:
        strategy: `tf.distribute.Strategy`.

    Example:

    >>> is_chief(tf.distribute.get_strategy())
    True
    """
    return strategy.extended.should_checkpoint


def local_replicas(strategy):
    """The numbers of the replicas that are in this process.

    Args:
        strategy: `tf.distribute.Strategy`.

    Returns:
        Tuple of ints below `strategy.num_replicas_in_sync`, ascending.

    Example:

    >>> local_replicas(tf.distribute.get_strategy())
    (0,)
    """
    if not are_several(strategy):
        return tuple(range(strategy.num_replicas_in_sync))

    @tf.function(autograph=False)
    def run():
        return strategy.run(_replica)

    return tuple(map(int, strategy.experimental_local_results(run())))


def gatherer(strategy, function):
    """Makes a function that brings tensors of every replica to every worker.

    That one is a collective operation: all workers have to call it, in the same
    order with others, or those that do wait for the rest.

    Args:
        strategy: `tf.distribute.Strategy`.
        function: function without arguments, called in each replica. Gives a
            tuple of float16, float32, float64, int32 or int64 tensors, of the
            same shapes in each.

    Returns:
        Function without arguments. Gives a list of NumPy arrays of shapes
        `(replicas, *shape)`, in the order of the replicas.

    Example:

    >>> gather = gatherer(
    ...     tf.distribute.get_strategy(), lambda: (tf.constant([1, 2]),))
    >>> gather()
    [array([[1, 2]], dtype=int32)]
    """

    @tf.function(autograph=False)
    def gathered():
        values = strategy.run(
            lambda: [x[tf.newaxis] for x in (_replica(), *function())]
        )
        return [strategy.gather(value, axis=0) for value in values]

    def gather():
        numbers, *values = (value.numpy() for value in gathered())
        # Collectives go by names of devices, in which 10 comes before 2.
        return [value[np.argsort(numbers)] for value in values]

    return gather


def _replica():
    context = tf.distribute.get_replica_context()
    return tf.convert_to_tensor(context.replica_id_in_sync_group)
