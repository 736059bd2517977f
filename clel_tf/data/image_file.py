"""Single image files, by way of Pillow."""

import contextlib

import numpy as np
from PIL import Image
from PIL import ImageOps

from clel_tf.data.limits import check_pixels

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")
_GRAY_MODES = ("1", "L", "LA")
_COLOR_MODES = ("P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB")


def read_header(path):
    """Reads size and kind of an image file, without decoding it.

    Args:
        path: path of the file.

    Returns:
        Tuple `((height, width), is_gray)`.

    Raises:
        ValueError: If it is no image, too large or has more than 8 bits.
    """
    with _opened(path) as image:
        (width, height), mode = image.size, image.mode
    check_pixels(width, height, path)
    if mode not in _GRAY_MODES + _COLOR_MODES:
        raise ValueError(
            f"Expected 8-bit images; received: {path} of Pillow mode {mode}."
        )
    return (height, width), mode in _GRAY_MODES


def decode(path, size, channels):
    """Decodes an image file; of an animation, the first frame.

    Transparency is dropped, and the orientation in EXIF data not applied.

    Args:
        path: path of the file.
        size: Tuple `(height, width)`, see `fit`.
        channels: int, 1 or 3.

    Returns:
        uint8 array of shape `[height, width, channels]`.

    Raises:
        ValueError: If it is no image or damaged.
    """
    with _opened(path) as image:
        return fit(image.convert("L" if channels == 1 else "RGB"), size)


def fit(image, size, resample=Image.Resampling.LANCZOS):
    """Crops the centre of the right aspect ratio and resizes it.

    Args:
        image: `PIL.Image.Image` in mode L or RGB.
        size: Tuple `(height, width)`.
        resample: Pillow's filter. Defaults to Lanczos. It averages where it
            shrinks.

    Returns:
        uint8 array of shape `[height, width, C]`.

    Example:

    >>> fit(Image.new("RGB", (9, 4)), size=(2, 2)).shape
    (2, 2, 3)
    """
    height, width = size
    if image.size != (width, height):
        image = ImageOps.fit(image, (width, height), resample)
    return np.asarray(image, np.uint8).reshape(height, width, -1)


@contextlib.contextmanager
def _opened(path):
    try:
        with Image.open(path, formats=_FORMATS) as image:
            yield image
    except Exception as error:  # Pillow's decoders raise many kinds
        raise ValueError(
            f"Expected a readable image file; received: {path} ({error})."
        ) from error
