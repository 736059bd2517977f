"""Images that a command line names."""

import pathlib
from typing import Any

import numpy as np

import clel_tf
from clel_tf.data import image_file
from clel_tf.data.dequantize import dequantize


def read_images(names, image_shape):
    """Reads images of files and of data sets.

    Args:
        names: list of str: an image file, which is cropped at the centre and
            resized, or `SPEC#I` for test image I of a data set (a training
            image where it has no others), or `SPEC#I-J` for those from I to J.
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


def read_image(name, image_shape):
    """Reads one image `image_shape`; see `read_images`."""
    images = read_images([name], image_shape)
    if len(images) != 1:
        raise ValueError(
            f"Expected one image; received: {len(images)} of {name}."
        )
    return images[0]


def read_mask(name, image_shape):
    """Makes a mask: a half of the image, or what is white in a file.

    Args:
        name: str. left, right, top or bottom, of which an odd number of pixels
            leaves the middle to right and bottom; or an image file.
        image_shape: tuple of ints `(height, width, channels)`.

    Returns:
        Bool array `(height, width, 1)`.

    Raises:
        ValueError: if it is neither, or nothing or everything is masked.
    """
    height, width, _ = image_shape
    mask = np.zeros((height, width, 1), bool)
    halves: dict[str, Any] = {
        "left": np.s_[:, : width // 2],
        "right": np.s_[:, width // 2 :],
        "top": np.s_[: height // 2],
        "bottom": np.s_[height // 2 :],
    }
    if name in halves:
        mask[halves[name]] = True
        return mask
    if not pathlib.Path(name).is_file():
        raise ValueError(
            f"Expected a mask out of {', '.join(halves)}, or an image file; "
            f"received: {name}."
        )
    mask = _of_file(pathlib.Path(name), mask.shape) > 0.5
    if mask.all() or not mask.any():
        raise ValueError(
            f"Expected a mask of white and black pixels in {name}; received: "
            f"{'white' if mask.all() else 'black'} ones only."
        )
    return mask


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
