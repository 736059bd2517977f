"""Between the bytes of files and the [0, 1] of the models."""

import operator

import numpy as np
import tensorflow as tf

from clel_tf import random

# Of k + U, float32 holds 8 bits for k and 16 for U. An odd multiple of 2**-16
# is thus exact and inside (0, 1), so no value ever rounds into its neighbour.
_GRID = 2.0**-15


def dequantize(images, levels, key=None):
    """Spreads integer pixel values over the intervals of [0, 1] they stand for.

        x = (k + U) / levels,   U ~ Uniform(0, 1)

    Row `i` draws from `fold_in(key, i)`, so an image gets the same noise in a
    batch of any size. `floor(levels * x)` is `k` again, whatever the noise.

    Args:
        images: uint8 tensor or array of shape `[batch, ...]`, values in
            `[0, levels)`, or a floating one with values in [0, 1], which is
            only cast to float32.
        levels: int in `[2, 256]`. The number of pixel values there are.
        key: Optional uint64 scalar, a key of `clel_tf.random`. Defaults to
            `None`: no noise, the midpoint of each interval, U = 1/2.

    Returns:
        float32 tensor of the same shape.

    Raises:
        TypeError: If the images are neither uint8 nor floating.
        ValueError: If `levels` is out of range.

    Example:

    >>> dequantize(np.array([[0, 1, 3]], np.uint8), levels=4).numpy()
    array([[0.125, 0.375, 0.875]], dtype=float32)

    Reference:
        [Theis et al.: A note on the evaluation of generative models,
        2016](https://arxiv.org/abs/1511.01844)
    """
    levels = _check_levels(levels)
    images = tf.convert_to_tensor(images)
    if images.dtype.is_floating:
        return tf.cast(images, tf.float32)
    if images.dtype != tf.uint8:
        raise TypeError(
            "Expected uint8 or floating images; received: "
            f"dtype {images.dtype.name}."
        )
    noise = 0.5 if key is None else _noise(images, key)
    # Graphs may replace a division by this product: so that all agree.
    return (tf.cast(images, tf.float32) + noise) * (1.0 / levels)


def to_bytes(images):
    """Turns images in [0, 1] into bytes: `clip(floor(256 x), 0, 255)`.

    Args:
        images: Floating tensor or array, values in [0, 1]; others are clipped.

    Returns:
        uint8 of the same shape: a tensor for a tensor, else an array.

    Example:

    >>> to_bytes(np.array([0.0, 0.5, 1.0], np.float32))
    array([  0, 128, 255], dtype=uint8)
    """
    if tf.is_tensor(images):
        scaled = tf.floor(256.0 * tf.cast(images, tf.float32))
        return tf.cast(tf.clip_by_value(scaled, 0.0, 255.0), tf.uint8)
    scaled = np.floor(256.0 * np.asarray(images, np.float32))
    return np.clip(scaled, 0.0, 255.0).astype(np.uint8)


def _noise(images, key):
    keys = random.fold_in(key, tf.range(tf.shape(images)[0]))
    unit = random.uniform(keys, tuple(images.shape[1:]))
    return (tf.floor(unit / _GRID) + 0.5) * _GRID


def _check_levels(levels):
    levels = operator.index(levels)
    if not 2 <= levels <= 256:
        raise ValueError(f"Expected levels in [2, 256]; received: {levels}.")
    return float(levels)
