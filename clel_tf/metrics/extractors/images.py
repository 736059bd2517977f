"""Images on their way into an extractor."""

import numpy as np

from clel_tf.data.dequantize import dequantize
from clel_tf.data.dequantize import to_bytes
from clel_tf.models.common import check_images


def as_floats(images, image_shape=None):
    """Gives images as values in [0, 1].

    Args:
        images: array `[n, H, W, C]`, n >= 1: uint8, bytes, or float in [0, 1].
        image_shape: tuple of ints `(H, W, C)`, or None for any.

    Returns:
        Floats as they are; (k + 0.5)/256 for byte k, float32 and exact.

    Raises:
        TypeError: if the images are neither uint8 nor float.
        ValueError: if their shape or range does not fit.

    Example:

    >>> as_floats(np.array([0, 255], np.uint8).reshape(2, 1, 1, 1)).ravel()
    array([0.00195312, 0.9980469 ], dtype=float32)
    """
    images = _checked(images, image_shape)
    if images.dtype == np.uint8:
        return dequantize(images, levels=256).numpy()
    return images


def as_bytes(images):
    """Gives images as bytes: floats x as floor(256 x), at most 255.

    Args:
        images: see `as_floats`, whose values of bytes become these again.

    Returns:
        uint8 array `[n, H, W, C]`.

    Raises:
        TypeError: if the images are neither uint8 nor float.
        ValueError: if their shape or range does not fit.
    """
    images = _checked(images)
    return images if images.dtype == np.uint8 else to_bytes(images)


def _checked(images, image_shape=None):
    images = np.asarray(images)
    if images.ndim != 4 or images.size == 0:
        raise ValueError(
            "Expected images of shape [n, H, W, C] with n >= 1; received: "
            f"shape {images.shape}."
        )
    check_images(images, image_shape or images.shape[1:], levels=256)
    return images
