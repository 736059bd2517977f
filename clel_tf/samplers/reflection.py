"""Normal numbers folded into [0, 1] by reflection at 0 and 1.

    p(x) = sum_k N(x + 2k; m, s**2) + N(-x + 2k; m, s**2),    0 <= x <= 1

is the density of `fold(m + s n)` with `n ~ N(0, 1)`. It is the same for `m` and
for `fold(m)`, by which the nearest image of `x` is `x` itself, and then

    p(x) = N(x; m, s**2) (1 + sum_{k != 0} exp(-2 k (k + x - m) / s**2)
                            + sum_k exp(-2 (x - k) (m - k) / s**2))

has exponents of at most 0 and no differences of close numbers.
"""

import math

import tensorflow as tf

# What images further off add, for s <= 1, is below float32's resolution.
_IMAGES = range(-3, 5)
LARGEST_SCALE = 1.0


def fold(values):
    """Reflects numbers at 0 and 1 until they are in [0, 1].

    Args:
        values: float32 tensor.

    Returns:
        float32 tensor of the same shape; numbers in [0, 1] stay as they are.

    Example:

    >>> from clel_tf.samplers import reflection
    >>> reflection.fold(tf.constant([-0.25, 0.5, 1.25, 3.5])).numpy().tolist()
    [0.25, 0.5, 0.75, 0.5]
    """
    whole = tf.floor(values)
    odd = tf.math.floormod(whole, 2.0) > 0.5
    return tf.where(odd, whole + 1.0 - values, values - whole)


def log_images(values, mean, scale):
    """log p(x) - log N(x; m, s**2): what the images add, elementwise.

    Args:
        values: float32 tensor of `x`, in [0, 1].
        mean: float32 tensor of `m`, in [0, 1].
        scale: float or scalar tensor `s` in (0, 1].

    Returns:
        float32 tensor, at least 0.
    """
    rate = 2.0 / scale**2
    total = 0.0
    for k in _IMAGES:
        total += tf.exp(-rate * ((values - k) * (mean - k)))
        if k:
            total += tf.exp(-rate * (k * (k + (values - mean))))
    return tf.math.log1p(total)


def log_density(values, mean, scale):
    """log p(x) of folded normal numbers, elementwise.

    Args:
        values: float32 tensor of `x`, in [0, 1].
        mean: float32 tensor of `m`, any real.
        scale: float or scalar tensor `s` in (0, 1].

    Returns:
        float32 tensor.

    Example:

    >>> from clel_tf.samplers import reflection
    >>> x = tf.constant([0.0, 0.5])  # of the two halves, 0 has both
    >>> [round(float(y), 2) for y in reflection.log_density(x, 0.0, 0.1)]
    [2.08, -10.42]
    """
    mean = fold(tf.convert_to_tensor(mean, tf.float32))
    nearest = -0.5 * tf.square((values - mean) / scale)
    constant = tf.math.log(scale * math.sqrt(2.0 * math.pi))
    return nearest - constant + log_images(values, mean, scale)
