"""Pictures of many images in one PNG file."""

import math
import os
import pathlib
import textwrap

import numpy as np
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont

_SEPARATOR = 128  # grey, apart from the black and white of digits
_COMFORTABLE = 48  # pixels
_LETTERS = 14  # pixels
_LINE = 16  # pixels
_MOST_LETTERS = 28  # in a line


def make_grid(images, columns):
    """Lays images out in rows, with separators of one pixel between them.

    Floats become bytes as everywhere in the package, by floor(256 x) clipped
    to 255. Cells that no image fills have the separators' grey.

    Args:
        images: array `[n, H, W, C]`, n >= 1, C 1 or 3; float in [0, 1] or
            uint8.
        columns: int, at least 1. Images in a row.

    Returns:
        uint8 array `[rows * (H + 1) - 1, columns * (W + 1) - 1, C]`.

    Raises:
        TypeError: if the images are neither float nor uint8.
        ValueError: if their shape or range or `columns` does not fit.

    Example:

    >>> import numpy as np
    >>> from clel_tf.images import make_grid
    >>> make_grid(np.array([0.0, 0.5, 1.0]).reshape(3, 1, 1, 1), 2)[..., 0]
    array([[  0, 128, 128],
           [128, 128, 128],
           [255, 128, 128]], dtype=uint8)
    """
    images = _to_bytes(images)
    _check_positive("columns", columns)
    n, height, width, channels = images.shape
    rows = math.ceil(n / columns)
    cells = np.full(
        (rows * columns, height + 1, width + 1, channels), _SEPARATOR, np.uint8
    )
    cells[:n, :height, :width] = images
    cells = cells.reshape(rows, columns, height + 1, width + 1, channels)
    grid = cells.transpose(0, 2, 1, 3, 4).reshape(
        rows * (height + 1), columns * (width + 1), channels
    )
    return grid[:-1, :-1]


def save_grid(images, path, columns=None, scale=None):
    """Writes images into one PNG file, enlarged by whole factors.

    The file appears at once and whole, or not at all.

    Args:
        images: array `[n, H, W, C]` as for `make_grid`.
        path: str or path ending in `.png`, in an existing folder. A file there
            is replaced.
        columns: int, at least 1. Images in a row. Defaults to a square grid.
        scale: int, at least 1. Side of the square that a pixel becomes.
            Defaults to the least that makes images 48 pixels high and wide.

    Raises:
        TypeError: if the images are neither float nor uint8.
        ValueError: if an argument does not fit.

    Example:

    >>> import os, tempfile
    >>> import numpy as np
    >>> from clel_tf.images import save_grid
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_grid(np.zeros([4, 8, 8, 1]), os.path.join(folder, "x.png"))
    ...     os.listdir(folder)
    ['x.png']
    """
    path = _check_png(path)
    images = _to_bytes(images)
    if columns is None:
        columns = math.ceil(math.sqrt(len(images)))
    grid = make_grid(_enlarged(images, scale), columns)
    _write_png(grid[..., 0] if grid.shape[-1] == 1 else grid, path)


def save_rows(rows, path, scale=None):
    """Writes rows of images, each with a caption beside it, into a PNG file.

    Captions are wrapped into as many lines as fit beside a row, and shortened
    to them.

    Args:
        rows: list of tuples of a str and an array `[n, H, W, C]` as for
            `make_grid`; the same image shape and kind in all, any n >= 1.
        path: see `save_grid`.
        scale: see `save_grid`.

    Raises:
        TypeError: if the images are neither float nor uint8.
        ValueError: if an argument does not fit.

    Example:

    >>> import os, tempfile
    >>> import numpy as np
    >>> from clel_tf.images import save_rows
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "x.png")
    ...     save_rows([("dark", np.zeros([2, 8, 8, 1])),
    ...                ("light", np.ones([3, 8, 8, 1]))], path)
    """
    path = _check_png(path)
    if not rows:
        raise ValueError("Expected rows of images; received none.")
    most = max(len(images) for _, images in rows)
    strips = [
        make_grid(_enlarged(_to_bytes(images), scale), most)
        for _, images in rows
    ]
    height, width, _ = strips[0].shape
    captions = [_wrapped(caption, height) for caption, _ in rows]
    font = ImageFont.load_default(_LETTERS)
    margin = _LETTERS + max(
        math.ceil(font.getlength(line)) for lines in captions for line in lines
    )
    size = margin + width, len(rows) * (height + 1) - 1
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    for i, (lines, strip) in enumerate(zip(captions, strips)):
        top = i * (height + 1)
        for j, line in enumerate(lines):
            down = (height - _LINE * len(lines)) // 2 + _LINE * j
            left = margin - _LETTERS // 2 - math.ceil(font.getlength(line))
            draw.text((left, top + down), line, "black", font)
        strip = np.broadcast_to(strip, (height, width, 3))
        picture.paste(Image.fromarray(strip), (margin, top))
    _write_png(np.asarray(picture), path)


def _wrapped(caption, height):
    """Lines of a caption, at least one, beside a row of this height."""
    lines = textwrap.wrap(
        caption,
        _MOST_LETTERS,
        max_lines=max(height // _LINE, 1),
        placeholder=" ...",
    )
    return lines or [""]


def _enlarged(images, scale):
    # Enlarged first, so that separators stay one pixel wide.
    if scale is None:
        scale = math.ceil(_COMFORTABLE / min(images.shape[1:3]))
    _check_positive("scale", scale)
    return images.repeat(scale, axis=1).repeat(scale, axis=2)


def _check_png(path):
    path = pathlib.Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"Expected a path ending in .png; received: {path}.")
    return path


def _write_png(pixels, path):
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        Image.fromarray(pixels).save(temporary, format="PNG")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _to_bytes(images):
    images = np.asarray(images)
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise TypeError(
            f"Expected images of float or uint8; received: {images.dtype}."
        )
    shape = images.shape
    if images.ndim != 4 or images.size == 0 or shape[-1] not in (1, 3):
        raise ValueError(
            "Expected images of shape [n, H, W, C] with n >= 1 and C 1 or 3; "
            f"received: shape {shape}."
        )
    if images.dtype == np.uint8:
        return images
    # Written so that NaN fails too.
    if not (images.min() >= 0.0 and images.max() <= 1.0):
        raise ValueError(
            "Expected images in [0, 1]; received: values from "
            f"{images.min()} to {images.max()}."
        )
    bytes_ = np.floor(256.0 * images.astype(np.float32))
    return np.minimum(bytes_, 255.0).astype(np.uint8)


def _check_positive(name, value):
    if not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"Expected {name} an int >= 1; received: {value!r}.")
