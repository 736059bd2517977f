"""Images that a command line names."""

import pathlib

import numpy as np

import clel_tf
from clel_tf.data import image_file
from clel_tf.data.dequantize import dequantize


def read_images(names, image_shape):
    """Reads images of files and of data sets.

    Args:
        names: list of str: an image file, which is cropped at the centre and
            resized, or `SPEC#I` for test image I of a data set, or `SPEC#I-J`.
        image_shape: tuple of ints `(height, width, channels)`.

    Returns:
        Float32 array `(n, *image_shape)` in [0, 1].

    Raises:
        ValueError: if a name is none, or images do not fit.
        FileNotFoundError: if there is no such file.
    """
    images = []
    for name in names:
        spec, number_sign, numbers = name.rpartition("#")
        if number_sign and not pathlib.Path(name).exists():
            images += list(_of_data(name, spec, numbers, image_shape))
        else:
            images.append(_of_file(pathlib.Path(name), image_shape))
    if not images:
        raise ValueError("Expected names of images; received none.")
    return np.stack(images).astype("float32")


def _of_data(name, spec, numbers, image_shape):
    first, _, last = numbers.partition("-")
    if not first.isdecimal() or not (last or first).isdecimal():
        raise ValueError(
            "Expected an image of a data set as SPEC#I, or images as SPEC#I-J; "
            f"received: {name!r}."
        )
    data = clel_tf.data.load(spec)
    images = data.x_train if data.x_test is None else data.x_test
    rows = range(int(first), int(last or first) + 1)
    if not rows or rows[-1] >= len(images):
        raise ValueError(
            f"Expected images from 0 to {len(images) - 1} of {spec}; received: "
            f"{name!r}."
        )
    if data.image_shape != tuple(image_shape):
        raise ValueError(
            f"Expected images of shape {tuple(image_shape)}; received: "
            f"{data.image_shape} of {spec}."
        )
    return dequantize(np.asarray(images[rows[0] : rows[-1] + 1]), data.levels)


def _of_file(path, image_shape):
    if not path.is_file():
        raise FileNotFoundError(
            f"Expected an image file, or SPEC#I; there is no file {path}."
        )
    image_file.read_header(path)
    *size, channels = image_shape
    return (image_file.decode(path, tuple(size), channels) + 0.5) / 256.0
