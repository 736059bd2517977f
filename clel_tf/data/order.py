"""The order of the training images, a pure function of (seed, step)."""

import tensorflow as tf

from clel_tf import random

_STREAM = 0x6F72646572  # "order": keeps these draws apart from a model's own


def epoch_order(seed, epoch, size):
    """Draws the permutation of one epoch.

    Args:
        seed: int. Seed of all epochs.
        epoch: int or integer scalar tensor.
        size: int. The number of images.

    Returns:
        int32 tensor of shape `[size]`.

    Example:

    >>> sorted(epoch_order(seed=0, epoch=3, size=4).numpy().tolist())
    [0, 1, 2, 3]
    """
    key = random.fold_in(random.as_key(seed), _STREAM)
    # 64 bits: no two of a million draws are equal, so that none is favoured.
    return tf.argsort(random.bits(random.fold_in(key, epoch), (size,)))


def index_batches(size, batch_size, seed, start_step=0):
    """Yields the indices of one batch after another, without end.

    The epochs' permutations are chained and cut into batches, so that no image
    is ever dropped: element j of step s has position `p = s * batch_size + j`
    and is entry `p mod size` of the permutation of epoch `p // size`.

    Args:
        size: int. The number of images.
        batch_size: int. May be larger than `size`.
        seed: int. Seed of the permutations.
        start_step: int. The step of the first batch. Defaults to 0.

    Returns:
        `tf.data.Dataset` of int32 tensors of shape `[batch_size]`.
    """
    first_epoch, offset = divmod(start_step * batch_size, size)

    def remaining(epoch):
        skipped = tf.where(epoch == first_epoch, offset, 0)
        return epoch_order(seed, epoch, size)[skipped:]

    epochs = tf.data.Dataset.counter(first_epoch)
    # One permutation is sorted ahead, while the one before is in use.
    orders = epochs.map(remaining).prefetch(1)
    return orders.rebatch(batch_size, drop_remainder=True)
