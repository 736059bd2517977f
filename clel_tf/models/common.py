"""What the networks share: input normalisation, checks, seeds."""

import itertools

import keras
import numpy as np
import tensorflow as tf

from clel_tf.layers.leaky_relu import LeakyReLU
from clel_tf.layers.spectral_conv2d import SpectralConv2D


def check_image_shape(image_shape, minimum):
    """Returns `image_shape` as a tuple of three positive ints, or raises."""
    shape = tuple(image_shape)
    if len(shape) != 3 or not all(isinstance(n, int) and n > 0 for n in shape):
        raise ValueError(
            "Expected `image_shape` to be (height, width, channels), three "
            f"positive ints; received: {image_shape!r}."
        )
    if min(shape[:2]) < minimum:
        raise ValueError(
            f"Expected images of at least {minimum}x{minimum} pixels, so that "
            "one is left after all halvings (each stage, and each tower, but "
            f"the first halves them); received: {image_shape!r}."
        )
    return shape


def check_stages(widths, depths):
    """Raises unless widths and depths describe the same number of stages."""
    counts = [*widths, *depths]
    if (
        not widths
        or len(widths) != len(depths)
        or not all(isinstance(n, int) and n > 0 for n in counts)
    ):
        raise ValueError(
            "Expected `widths` and `depths` to be positive ints, one of each a "
            f"stage; received: widths={widths!r}, depths={depths!r}."
        )


def normalize(images, mean, std):
    """Applies `(images - mean) / std` in float32, whatever the policy."""
    if np.min(std) <= 0:
        raise ValueError(f"Expected `std` to be positive; received: {std!r}.")
    mean, std = np.broadcast_arrays(np.float32(mean), np.float32(std))
    return keras.layers.Rescaling(
        (1 / std).tolist(), (-mean / std).tolist(), dtype="float32"
    )(images)


def activation_layer(activation, dtype):
    """The layer of an activation's name; leaky ReLU has the paper's slope."""
    if activation == "leaky_relu":
        return LeakyReLU(0.2, dtype=dtype)
    return keras.layers.Activation(activation, dtype=dtype)


def seed_stream(seed):
    """Endless initializer seeds: distinct ints from `seed`, or None for None.

    Args:
        seed: int or None.

    Returns:
        Iterator of ints, or of None.
    """
    if seed is None:
        return itertools.repeat(None)
    generator = np.random.default_rng(seed)
    return (int(generator.integers(2**31)) for _ in itertools.count())


def flat_layers(network):
    """All layers of a model and of the models inside it."""
    layers: list[keras.layers.Layer] = []
    for layer in network.layers:
        nested = isinstance(layer, keras.Model)
        layers.extend(flat_layers(layer) if nested else [layer])
    return layers


def spectral_layers(network):
    """All `SpectralConv2D` layers of a model and the models inside it."""
    layers = flat_layers(network)
    return [layer for layer in layers if isinstance(layer, SpectralConv2D)]


def refresh_spectral(network):
    """Makes the stored kernels of a network match its weights again."""
    for layer in spectral_layers(network):
        layer.refresh()


def check_images(images, image_shape, levels, count=None):
    """Returns images as an array, or raises what is wrong with them.

    Args:
        images: array-like of shape `(n, *image_shape)`: uint8 below `levels`,
            or floating with values in [0, 1].
        image_shape: tuple of ints.
        levels: int. Number of values of a uint8 pixel.
        count: int or None. The expected `n`.

    Returns:
        NumPy array, uint8 or float32.
    """
    images = np.asarray(images)
    rows = count or images.shape[:1][0] if images.ndim else 0
    if images.shape != (rows, *image_shape):
        expected = ", ".join(map(str, (count or "n", *image_shape)))
        raise ValueError(
            f"Expected images of shape ({expected}); received: {images.shape}."
        )
    if images.dtype == np.uint8:
        if images.size and images.max() >= levels:
            raise ValueError(
                f"Expected uint8 images below {levels}, the model's `levels`; "
                f"received: {images.max()}."
            )
        return images
    if not np.issubdtype(images.dtype, np.floating):
        raise TypeError(
            f"Expected uint8 or floating images; received: {images.dtype}."
        )
    if images.size and not (images.min() >= 0 and images.max() <= 1):
        raise ValueError(
            "Expected floating images in [0, 1]; received values in "
            f"[{images.min()}, {images.max()}]."
        )
    return images.astype("float32")


def graph(function):
    """A function's graph, which is traced once for all numbers of rows."""
    return tf.function(function, autograph=False, reduce_retracing=True)
