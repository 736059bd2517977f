"""What the replicas of a `tf.distribute` strategy share in a step."""

import tensorflow as tf


def count():
    """Number of replicas that make a step together; 1 without a strategy."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def weighted(means, rows):
    """A replica's means over its rows, as its part in those over all rows.

        weighted = mean rows / (mean rows of a replica)

    The mean of it over replicas is the mean over the whole batch, also where
    the last batch of an epoch leaves replicas with unequal parts, and one
    perhaps with none. Equal parts leave every mean as it is.

    Args:
        means: structure of float32 tensors, anything of a replica without rows.
        rows: int or integer scalar tensor, the replica's number of rows.

    Returns:
        The same structure.
    """
    if count() == 1:
        return means
    rows = tf.cast(rows, tf.float32)
    context = tf.distribute.get_replica_context()
    share = rows / context.all_reduce("MEAN", rows)
    # A mean of nothing is NaN, which times 0 would stay.
    return tf.nest.map_structure(
        lambda mean: tf.where(rows > 0.0, share * mean, 0.0), means
    )


def others(rows):
    """The rows that all other replicas hold, in their order.

    It is differentiable: a row's gradient is the sum of what every replica's
    loss says of it.

    Args:
        rows: float tensor of shape `(n, ...)`; `n` may differ by replica.

    Returns:
        Tensor of the other replicas' rows, `(m, ...)`.
    """
    context = tf.distribute.get_replica_context()
    own, replica = tf.shape(rows)[0], context.replica_id_in_sync_group
    sizes = tf.one_hot(replica, count(), on_value=own, off_value=0)
    sizes = context.all_reduce("SUM", sizes)
    before = tf.reduce_sum(sizes[:replica])
    after = tf.reduce_sum(sizes) - before - own
    # Not by all_gather, whose order is that of devices' names, 10 before 2.
    rank = len(rows.shape)
    paddings = tf.pad([[before, after]], [[0, rank - 1], [0, 0]])
    gathered = context.all_reduce("SUM", tf.pad(rows, paddings))
    return tf.concat([gathered[:before], gathered[before + own :]], axis=0)
