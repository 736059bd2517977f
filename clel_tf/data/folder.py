"""Images of a folder of image files."""

import math
import os
import pathlib

import numpy as np

from clel_tf.data import image_file
from clel_tf.data import limits
from clel_tf.data.image_data import ImageData
from clel_tf.data.streamed_images import StreamedImages

_TESTS = {"test", "val"}


def load_folder(path, image_size=None, stream=None):
    """Loads the images of a folder, in the order of their names.

    The folder holds images (no labels), or one folder of images a class
    (labels are the ranks of the classes' names), or a folder `train` and
    optionally a folder `test` or `val` of one of these forms. PNG, JPEG, BMP,
    GIF and WebP files are read; files of other names and hidden ones are not.
    Images get one channel where all files are gray, else three.

    Args:
        path: str or path of the folder.
        image_size: Optional `(height, width)`: the centre of each image is cut
            to this aspect ratio and resized. Defaults to `None`: the images
            have to be of one size.
        stream: Optional bool. Whether to decode images whenever they are used,
            see `clel_tf.data.load`. All headers are read first nevertheless.
            Defaults to `None`.

    Returns:
        `ImageData` with 256 levels, and `class_names` if there are classes.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If the folder is of another form, or an image is damaged,
            too large or of another size.

    Example:

    >>> import tempfile
    >>> from PIL import Image
    >>> path = pathlib.Path(tempfile.mkdtemp())
    >>> Image.new("L", (8, 6)).save(path / "a.png")
    >>> Image.new("L", (8, 8)).save(path / "b.png")
    >>> load_folder(path, image_size=(4, 4)).x_train.shape
    (2, 4, 4, 1)
    """
    path = pathlib.Path(path)
    if not path.is_dir():
        raise FileNotFoundError(f"Expected a folder; received: {path}.")
    train, test = _find_splits(path)
    files, labels, names = _list_images(train)
    if test is None:
        return _decode_all(path, [(files, labels)], names, image_size, stream)
    test_files, test_labels, test_names = _list_images(test)
    if (names is None) != (test_names is None):
        raise ValueError(
            "Expected classes in both train and test or in neither; received: "
            f"train {names}, test {test_names} in {path}."
        )
    if names is not None:
        test_labels = _relabel(test_labels, test_names, names, path)
    splits = [(files, labels), (test_files, test_labels)]
    return _decode_all(path, splits, names, image_size, stream)


def _visible(path):
    """Returns the sorted folders and image files of a folder."""
    entries = sorted(p for p in path.iterdir() if not p.name.startswith("."))
    folders = [p for p in entries if p.is_dir()]
    images = [
        p
        for p in entries
        if p.suffix.lower() in image_file.SUFFIXES and not p.is_dir()
    ]
    if folders and images:
        raise ValueError(
            "Expected either images or folders; received: both, "
            f"{images[0].name} and {folders[0].name} in {path}."
        )
    return folders, images


def _find_splits(path):
    names = {folder.name for folder in _visible(path)[0]}
    if not names & {"train", *_TESTS}:
        return path, None
    tests = names - {"train"}
    if "train" not in names or tests - _TESTS or len(tests) > 1:
        raise ValueError(
            "Expected a folder train, optionally one test or val and no other "
            f"beside them; received: {sorted(names)} in {path}."
        )
    return path / "train", path / tests.pop() if tests else None


def _list_images(path):
    folders, images = _visible(path)
    if not folders:
        return _not_empty(images, path), None, None
    files, labels = [], []
    for label, folder in enumerate(folders):
        inner, images = _visible(folder)
        if inner:
            raise ValueError(
                "Expected a class's folder to hold images only; received: "
                f"folder {inner[0]}."
            )
        files += _not_empty(images, folder)
        labels += [label] * len(images)
    return files, np.array(labels, np.int64), tuple(f.name for f in folders)


def _not_empty(images, path):
    if not images:
        raise ValueError(
            f"Expected images ({' '.join(image_file.SUFFIXES)}) in {path}; "
            "received: none."
        )
    return images


def _relabel(labels, test_names, names, path):
    unknown = sorted(set(test_names) - set(names))
    if unknown:
        raise ValueError(
            f"Expected classes of test to be classes of train, {names}; "
            f"received: {unknown} in {path}."
        )
    return np.array([names.index(n) for n in test_names], np.int64)[labels]


def _decode_all(path, splits, names, image_size, stream):
    everything = [file for files, _ in splits for file in files]
    headers = [image_file.read_header(file) for file in everything]
    size = image_size or _common_size(everything, headers)
    channels = 1 if all(is_gray for _, is_gray in headers) else 3
    num_bytes = len(everything) * math.prod(size) * channels
    stream = limits.should_stream(num_bytes, stream)
    if not stream:
        limits.check_bytes(num_bytes, path)
    arrays = []
    for files, labels in splits:
        images = _stream(files, size, channels)
        arrays += [images if stream else images[:], labels]
    spec = f"folder:{os.fspath(path)}"
    return ImageData(spec, *arrays, class_names=names)


def _stream(files, size, channels):
    def read(rows):
        images = np.empty([len(rows), *size, channels], np.uint8)
        for image, row in zip(images, rows, strict=True):
            image[...] = image_file.decode(files[row], size, channels)
        return images

    return StreamedImages(read, (len(files), *size, channels))


def _common_size(files, headers):
    size = headers[0][0]
    for file, (other, _) in zip(files, headers, strict=True):
        if other != size:
            raise ValueError(
                "Expected images of one size, or an image_size; received: "
                f"{files[0]} of {size} and {file} of {other} (height, width)."
            )
    return size
