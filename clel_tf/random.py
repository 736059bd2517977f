"""Stateless random numbers of tensors, the same in every compilation mode.

A *key* is a uint64 tensor of any shape. Draw `i` of a key is SplitMix64's
output function applied to a counter,

    bits(key)[i] = mix64(key + (i + 1) * golden)       (mod 2**64)

so a tensor of keys gives every row of a batch its own stream in one vectorised
expression, and row `j` draws the same numbers alone or among others. Only
integer arithmetic decides the bits: they are equal in eager mode, in graphs,
under XLA and in a reloaded SavedModel, which `tf.random.stateless_normal` with
a tensor seed is not; what is computed from them (logarithms, cosines) agrees to
rounding.

Reference:
    [Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators,
    OOPSLA 2014](https://doi.org/10.1145/2660193.2660195)
"""

import math

import tensorflow as tf

_GOLDEN = 0x9E3779B97F4A7C15  # 2**64 / golden ratio, SplitMix64's increment
_MIX_1 = 0xBF58476D1CE4E5B9  # David Stafford's variant 13, as SplitMix64 has it
_MIX_2 = 0x94D049BB133111EB
_FOLD = 0xD1B54A32D192ED03  # keeps folded keys apart from drawn bits


def _uint64(value):
    return tf.constant(value, tf.uint64)


def _mix64(z):
    shift, xor = tf.bitwise.right_shift, tf.bitwise.bitwise_xor
    z = xor(z, shift(z, _uint64(30))) * _uint64(_MIX_1)
    z = xor(z, shift(z, _uint64(27))) * _uint64(_MIX_2)
    return xor(z, shift(z, _uint64(31)))


def as_key(seed):
    """Turns integer seeds of any shape into keys of that shape."""
    return _mix64(tf.cast(seed, tf.uint64) + _uint64(_GOLDEN))


def fold_in(key, data):
    """Derives a new key from a key and an integer; both broadcast.

    Args:
        key: uint64 tensor of keys.
        data: integer tensor or int, such as a step, a replica or a row number.

    Returns:
        uint64 tensor of keys, as unrelated to each other as random numbers.
    """
    counter = tf.cast(data, tf.uint64) * _uint64(_GOLDEN)
    return _mix64(tf.bitwise.bitwise_xor(key, _uint64(_FOLD)) + counter)


def bits(key, shape=()):
    """Draws uniform 64-bit integers.

    Args:
        key: uint64 tensor of keys, shape `[...]`.
        shape: tuple of ints. What to draw for each key.

    Returns:
        uint64 tensor of shape `[..., *shape]`.
    """
    count = tf.range(1, math.prod(shape) + 1, dtype=tf.int64)
    counter = tf.cast(count, tf.uint64) * _uint64(_GOLDEN)
    return _per_key(_mix64(key[..., tf.newaxis] + counter), key, shape)


def uniform(key, shape=(), minval=0.0, maxval=1.0):
    """Draws float32 uniforms in `[minval, maxval)`, on a grid of 2**-24.

    Bounds other than 0 and 1 scale the grid; rounding may then give `maxval`.
    """
    top = tf.bitwise.right_shift(bits(key, shape), _uint64(40))
    unit = tf.cast(tf.cast(top, tf.int32), tf.float32) * 2.0**-24
    return minval + (maxval - minval) * unit


def normal(key, shape=()):
    """Draws float32 standard normals by the Box-Muller transform.

        n1 = sqrt(-2 log u1) cos(2 pi u2),  n2 = sqrt(-2 log u1) sin(2 pi u2)

    with u1 and u2 the halves of one 64-bit draw, so |n| is at most 6.8.
    """
    size = math.prod(shape)
    pair = bits(key, ((size + 1) // 2,))
    high = _to_float(tf.bitwise.right_shift(pair, _uint64(32)))
    low = _to_float(tf.bitwise.bitwise_and(pair, _uint64(0xFFFFFFFF)))
    radius = tf.sqrt(-2.0 * tf.math.log((high + 0.5) * 2.0**-32))
    angle = low * (2.0 * math.pi * 2.0**-32)
    flat = tf.concat([radius * tf.cos(angle), radius * tf.sin(angle)], axis=-1)
    return _per_key(flat[..., :size], key, shape)


def _to_float(value):
    # By way of int64: uint64 to float32 is not implemented on every device.
    return tf.cast(tf.cast(value, tf.int64), tf.float32)


def _per_key(flat, key, shape):
    dynamic = tf.concat([tf.shape(key), tf.constant(shape, tf.int32)], axis=0)
    return tf.ensure_shape(tf.reshape(flat, dynamic), [*key.shape, *shape])


def row_seeds(seed, count):
    """Integer seeds of a batch's rows, which `CLEL.sample` draws from.

    Args:
        seed: int. The seed of the batch.
        count: int. Number of rows.

    Returns:
        int64 NumPy array of shape `(count,)`, non-negative, for `as_key` and
        for the `seed` input of an exported sampler.

    Example:

    >>> clel_tf.random.row_seeds(0, 2)
    array([...])
    """
    keys = fold_in(as_key(seed), tf.range(count))
    return tf.cast(tf.bitwise.right_shift(keys, _uint64(1)), tf.int64).numpy()
