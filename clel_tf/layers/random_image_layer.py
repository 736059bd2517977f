"""What the random image layers share: their keys and their checks."""

import keras
import tensorflow as tf
from keras import ops

from clel_tf import random
from clel_tf.backend import require_tensorflow

FLAVOURS = ("reference", "torchvision")


class RandomImageLayer(keras.layers.Layer):
    """Base of the layers that change each image of a batch at random.

    A subclass writes `augment(images, key)`. Parameters of image `i` come from
    `row_keys(images, key)[i]`, what the whole batch shares from `key` itself.
    There is no `training` switch: who wants plain images does not call it.
    Keys are 64-bit integers of TensorFlow, so the layers need it as the
    backend; what they do to images with given parameters does not.

    Args:
        seed: int or `None`. Starts the layer's own `SeedGenerator`, which is
            used by calls without a key. Defaults to `None`, a random one.
        **kwargs: of `keras.layers.Layer`. The dtype defaults to float32 under
            every global policy: pixels are not to be rounded to bfloat16.

    Call arguments:
        images: float32 tensor `[B, H, W, C]`, C 1 or 3, values in [0, 1].
        seed: scalar uint64 key from `clel_tf.random`, or `None`. The same key
            gives the same result in every compilation mode.

    Raises:
        RuntimeError: if Keras does not run on TensorFlow.
        TypeError: if images are not floats or `seed` is not a key.
        ValueError: if images have another shape or `seed` is not a scalar.
    """

    def __init__(self, seed=None, **kwargs):
        require_tensorflow(type(self).__name__)
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    @property
    def changes_images(self):
        """Whether the layer's configuration lets it change any image."""
        return True

    def call(self, images, seed=None):
        _check_images(images)
        key = self._next_key() if seed is None else _check_key(seed)
        return self.augment(images, key)

    def augment(self, images, key):
        raise NotImplementedError

    def compute_output_shape(self, images_shape):
        return images_shape

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}

    def _next_key(self):
        pair = self.seed_generator.next()
        return random.fold_in(random.as_key(pair[0]), pair[1])


def row_keys(images, key):
    """Returns one key for each image of a batch, uint64 `[B]`."""
    return random.fold_in(key, tf.range(tf.shape(images)[0]))


def per_image(values):
    """Reshapes one value per image, `[B]`, to broadcast with the images."""
    return ops.reshape(values, (-1, 1, 1, 1))


def check_between(name, value, low, high):
    """Returns `value`, or raises `ValueError` if it is outside [low, high]."""
    if not low <= value <= high:
        raise ValueError(
            f"Expected {name} within [{low}, {high}]; received: {value}."
        )
    return value


def check_choice(name, value, choices):
    """Returns `value`, or raises `ValueError` if it is none of `choices`."""
    if value not in choices:
        raise ValueError(
            f"Expected {name} as one of {sorted(choices)}; received: {value!r}."
        )
    return value


def check_range(name, values, high):
    """Returns a pair of floats, 0 < first <= second <= high, as a tuple."""
    values = tuple(values)
    if len(values) != 2 or not 0 < values[0] <= values[1] <= high:
        raise ValueError(
            f"Expected {name} as a pair (low, high) with "
            f"0 < low <= high <= {high}; received: {values}."
        )
    return values


def _check_images(images):
    shape = tuple(images.shape)
    if len(shape) != 4 or None in shape[1:] or shape[3] not in (1, 3):
        raise ValueError(
            "Expected images of shape [batch, height, width, channels], with "
            f"1 or 3 channels and a known size; received: shape {shape}."
        )
    dtype = keras.backend.standardize_dtype(images.dtype)
    if dtype != "float32":
        raise TypeError(
            f"Expected float32 images in [0, 1]; received: dtype {dtype}."
        )


def _check_key(seed):
    if getattr(seed, "dtype", None) != tf.uint64:
        raise TypeError(
            "Expected seed as a uint64 key, such as "
            f"clel_tf.random.as_key(0); received: {seed!r}."
        )
    if seed.shape.rank != 0:
        raise ValueError(
            f"Expected seed as a scalar key; received: shape {seed.shape}."
        )
    return seed
