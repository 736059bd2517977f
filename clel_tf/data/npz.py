"""Images of a NumPy archive."""

import contextlib
import math
import os
import zipfile

import numpy as np

from clel_tf.data.image_data import ImageData
from clel_tf.data.limits import check_bytes

_LAYOUTS = (  # names of images, labels, test images, test labels
    ("x_train", "y_train", "x_test", "y_test"),
    ("x", "y", None, None),
    ("data", "labels", None, None),  # ImageNet-32 as its authors publish it
)
_MAX_DEFLATE_RATIO = 1032  # a deflated byte never stands for more bytes


def load_npz(path):
    """Loads images from an npz file with one of these sets of keys.

    - `x_train`, and optionally `y_train`, `x_test`, `y_test`;
    - `x`, and optionally `y`;
    - `data`, and optionally `labels`, as ImageNet-32 has them: the images are
      rows of 3 * S * S bytes, all reds first, then greens, then blues.

    Other images have shape `[N, H, W, C]` or `[N, H, W]`. Keys beside these are
    ignored. Nothing is unpickled, and the size an array declares is checked
    before the array is read.

    Args:
        path: str or path of the file.

    Returns:
        `ImageData` with 256 levels.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged or holds something else.

    Example:

    >>> import tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "images.npz")
    >>> np.savez(path, x_train=np.zeros([5, 4, 4], np.uint8))
    >>> load_npz(path).x_train.shape
    (5, 4, 4, 1)
    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"Expected an npz file; received: {path}.")
    with _readable(path):
        headers = _read_headers(path)
    layout = _choose_layout(headers, path)
    keys = [key for key in layout if key in headers]
    for key in keys:
        _check_header(key, headers[key], path)
    with _readable(path), np.load(path, allow_pickle=False) as archive:
        arrays = {key: archive[key] for key in keys}
    x, y, x_test, y_test = (arrays.get(key) for key in layout)
    if layout[0] == "data" and x.ndim == 2:
        x = _unfold_rows(x, path)
    return ImageData(
        f"npz:{path}",
        _add_channel(x),
        _as_labels(y),
        _add_channel(x_test),
        _as_labels(y_test),
    )


@contextlib.contextmanager
def _readable(path):
    try:
        yield
    except Exception as error:  # zipfile, zlib and NumPy raise a dozen kinds
        raise ValueError(
            f"Expected a readable npz file; received: {path} ({error})."
        ) from error


def _read_headers(path):
    """Returns `{key: (shape, dtype, room)}`, without reading any array."""
    headers = {}
    with zipfile.ZipFile(path) as archive:
        limit = _MAX_DEFLATE_RATIO * os.path.getsize(path)
        for info in archive.infolist():
            if info.filename.endswith(".npy"):
                with archive.open(info) as member:
                    shape, dtype = _read_header(member)
                    room = min(info.file_size, limit) - member.tell()
                key = info.filename.removesuffix(".npy")
                headers[key] = shape, dtype, room
    return headers


def _read_header(member):
    if np.lib.format.read_magic(member) == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(member)
    return shape, dtype


def _choose_layout(headers, path):
    for layout in _LAYOUTS:
        if layout[0] in headers:
            break
    else:
        raise ValueError(
            "Expected keys x_train[/y_train/x_test/y_test], x[/y] or "
            f"data[/labels] in {path}; received: {sorted(headers)}."
        )
    if layout[3] in headers and layout[2] not in headers:
        raise ValueError(
            f"Expected x_test beside y_test in {path}; received: "
            f"{sorted(headers)}."
        )
    return layout


def _check_header(key, header, path):
    shape, dtype, room = header
    is_label = key.startswith(("y", "labels"))
    if not (dtype.kind in "iu" if is_label else dtype == np.uint8):
        wanted = "integers" if is_label else "uint8"
        raise ValueError(
            f"Expected {key} of {path} to hold {wanted}; received: {dtype}."
        )
    declared = math.prod(shape) * dtype.itemsize
    if declared > room:
        raise ValueError(
            f"Expected {key} of {path} to declare at most the {room} bytes "
            f"there is room for; received: {declared} bytes, shape {shape}."
        )
    check_bytes(declared, f"{key} of {path}")


def _unfold_rows(rows, path):
    side = math.isqrt(rows.shape[1] // 3)
    if 3 * side * side != rows.shape[1]:
        raise ValueError(
            f"Expected rows of 3 * S * S bytes in data of {path}; received: "
            f"shape {rows.shape}."
        )
    images = rows.reshape(-1, 3, side, side).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images)


def _add_channel(images):
    if images is not None and images.ndim == 3:
        return images[..., np.newaxis]
    return images


def _as_labels(labels):
    if labels is None:
        return None
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]  # as in keras.datasets
    return labels.astype(np.int64)
