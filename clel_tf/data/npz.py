"""Images of NumPy archives."""

import math
import os

import numpy as np

from clel_tf.data import limits
from clel_tf.data.image_data import ImageData
from clel_tf.data.npz_array import read_headers
from clel_tf.data.streamed_images import StreamedImages

_ROWS = ("data", "labels", None, None)  # ImageNet-32's, by its authors
_LAYOUTS = (  # names of images, labels, test images, test labels
    ("x_train", "y_train", "x_test", "y_test"),
    ("x", "y", None, None),
    _ROWS,
)
_TRAIN_FILE = "train_data_batch_{}.npz"
_TEST_FILE = "val_data.npz"


def load_npz(path, stream=None):
    """Loads images from an npz file, or a folder of ImageNet-32's.

    A file holds one of these sets of keys; others beside them are ignored:

    - `x_train`, and optionally `y_train`, `x_test`, `y_test`;
    - `x`, and optionally `y`;
    - `data`, and optionally `labels`, as ImageNet-32 has them: the images are
      rows of 3 * S * S bytes, all reds first, then greens, then blues, and
      labels whose smallest is 1 are counted from 0 instead.

    A folder holds `train_data_batch_1.npz` and so on, as ImageNet-32 is
    published, and optionally `val_data.npz`, the test images; files that are
    no npz files are ignored.

    Other images have shape `[N, H, W, C]` or `[N, H, W]`. Nothing is unpickled,
    and the size an array declares is checked before the array is read.

    Args:
        path: str or path of the file or folder.
        stream: Optional bool. Whether images stay in the file, which has to be
            uncompressed (`np.savez`); its checksum is not checked then. See
            `clel_tf.data.load`. Defaults to `None`.

    Returns:
        `ImageData` with 256 levels.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ValueError: If a file is damaged or holds something else.

    Example:

    >>> import tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "images.npz")
    >>> np.savez(path, x_train=np.zeros([5, 4, 4], np.uint8))
    >>> load_npz(path).x_train.shape
    (5, 4, 4, 1)
    """
    path = os.fspath(path)
    if os.path.isdir(path):
        train, test = _list_folder(path)
    elif os.path.isfile(path):
        train, test = _list_file(path)
    else:
        raise FileNotFoundError(
            f"Expected an npz file or a folder of them; received: {path}."
        )
    parts = train + test
    num_bytes = sum(images.num_bytes for images, _ in parts)
    # What is compressed cannot be streamed: memory takes it while it can.
    is_compressed = any(images.offset is None for images, _ in parts)
    if stream is not None or not is_compressed:
        stream = limits.should_stream(num_bytes, stream)
    if not stream:
        limits.check_bytes(num_bytes, path)
    x_train, x_test = (_read_images(part, stream) for part in (train, test))
    y_train, y_test = _read_labels(train, test)
    return ImageData(f"npz:{path}", x_train, y_train, x_test, y_test)


def _list_file(path):
    """Returns pairs of images and labels, to train and to test."""
    headers = read_headers(path)
    layout = next((names for names in _LAYOUTS if names[0] in headers), None)
    if layout is None:
        raise ValueError(
            "Expected keys x_train[/y_train/x_test/y_test], x[/y] or "
            f"data[/labels] in {path}; received: {sorted(headers)}."
        )
    if layout[3] in headers and layout[2] not in headers:
        raise ValueError(
            f"Expected x_test beside y_test in {path}; received: "
            f"{sorted(headers)}."
        )
    x, y, x_test, y_test = (headers.get(key) for key in layout)
    train, test = [(x, y)], [(x_test, y_test)] if x_test else []
    for images, labels in train + test:
        _check_count(images, labels)
        images.check(np.uint8, "uint8")
        _image_shape(images)
        if labels is not None:
            labels.check(np.integer, "integers")
            limits.check_bytes(labels.num_bytes, labels.name)
    return train, test


def _list_folder(path):
    names = {name for name in os.listdir(path) if name.endswith(".npz")}
    count = len(names - {_TEST_FILE})
    train = [_TRAIN_FILE.format(number) for number in range(1, count + 1)]
    if not train or names - {_TEST_FILE} != set(train):
        raise ValueError(
            f"Expected {_TRAIN_FILE.format(1)} and so on without a gap, "
            f"optionally {_TEST_FILE} and no other npz file in {path}; "
            f"received: {sorted(names)}."
        )
    test = [_TEST_FILE] if _TEST_FILE in names else []
    train, test = (
        [_list_rows(os.path.join(path, name)) for name in part]
        for part in (train, test)
    )
    _check_alike(train + test)
    return train, test


def _list_rows(path):
    images, labels = _list_file(path)[0][0]
    if images.key != _ROWS[0]:
        raise ValueError(
            f"Expected keys data[/labels] in {path}; received: {images.key}."
        )
    return images, labels


def _check_alike(pairs):
    first, first_labels = pairs[0]
    for images, labels in pairs:
        if images.shape[1:] != first.shape[1:]:
            raise ValueError(
                f"Expected {images.name} to have rows like {first.name}, "
                f"{first.shape[1:]}; received: {images.shape[1:]}."
            )
        if (labels is None) != (first_labels is None):
            raise ValueError(
                "Expected labels in all files or in none; received: some in "
                f"only one of {first.path} and {images.path}."
            )


def _check_count(images, labels):
    if labels is not None and labels.shape[:1] != images.shape[:1]:
        raise ValueError(
            f"Expected {labels.name} to have one label an image, shape "
            f"{images.shape[:1]}; received: shape {labels.shape}."
        )


def _read_images(pairs, stream):
    if not pairs:
        return None
    arrays = [images for images, _ in pairs]
    if stream:
        return _stream(arrays)
    if len(arrays) == 1:
        return _to_images(arrays[0], arrays[0].read())
    # Filled file by file, as a concatenation would need twice the memory.
    ends = np.cumsum([array.shape[0] for array in arrays])
    images = np.empty([ends[-1], *_image_shape(arrays[0])], np.uint8)
    for rows, array in zip(np.split(images, ends[:-1]), arrays):
        rows[...] = _to_images(array, array.read())
    return images


def _stream(arrays):
    mapped = [array.map() for array in arrays]
    ends = np.cumsum([len(rows) for rows in mapped])
    shape = _image_shape(arrays[0])

    def read(rows):
        images = np.empty([len(rows), *shape], np.uint8)
        files = np.searchsorted(ends, rows, side="right")
        for file in np.unique(files):
            here = files == file
            local = rows[here] - ends[file]  # negative: from the file's end
            images[here] = _to_images(arrays[file], mapped[file][local])
        return images

    return StreamedImages(read, (int(ends[-1]), *shape))


def _image_shape(array):
    shape = array.shape[1:]
    if array.key == _ROWS[0] and len(shape) == 1:
        side = math.isqrt(shape[0] // 3)
        if not side or 3 * side * side != shape[0]:
            raise ValueError(
                f"Expected rows of 3 * S * S bytes in {array.name}; received: "
                f"shape {array.shape}."
            )
        return side, side, 3
    if len(shape) not in (2, 3) or 0 in array.shape:
        raise ValueError(
            f"Expected {array.name} to have shape [N, H, W, C] or [N, H, W] "
            f"without zeros; received: shape {array.shape}."
        )
    return shape if len(shape) == 3 else (*shape, 1)


def _to_images(array, rows):
    height, width, channels = _image_shape(array)
    if rows.ndim == 2:
        planes = rows.reshape(len(rows), channels, height, width)
        return np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
    return rows.reshape(len(rows), height, width, channels)


def _read_labels(train, test):
    y_train, y_test = _concatenate_labels(train), _concatenate_labels(test)
    is_rows = len(train[0][0].shape) == 2
    if is_rows and y_train is not None and y_train.min() == 1:
        if y_test is not None and y_test.min() < 1:
            raise ValueError(
                "Expected labels of all parts to count from 1, as those to "
                f"train do; received: {y_test.min()} in {test[0][1].name}."
            )
        return y_train - 1, None if y_test is None else y_test - 1
    return y_train, y_test


def _concatenate_labels(pairs):
    if not pairs or pairs[0][1] is None:
        return None
    labels = np.concatenate([labels.read() for _, labels in pairs])
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]  # as in keras.datasets
    return labels.astype(np.int64)
