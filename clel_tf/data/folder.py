"""Images of a folder of image files."""

import math
import os
import pathlib

import numpy as np

from clel_tf.data import image_file
from clel_tf.data import limits
from clel_tf.data.faults import Faults
from clel_tf.data.image_data import ImageData
from clel_tf.data.streamed_images import StreamedImages

_TESTS = {"test", "val"}


def load_folder(path, image_size=None, stream=None, faults=None):
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
        faults: Optional `Faults`. With `Faults("skip")`, files that cannot be
            read are left out. One that is lost or changed later, while images
            are streamed, is replaced by the next one (of its class) that can be
            read, so that batches stay as large as they were. Defaults to
            `None`: such a file is an error.

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
    path, faults = pathlib.Path(path), faults or Faults()
    if not path.is_dir():
        raise FileNotFoundError(f"Expected a folder; received: {path}.")
    train, test = _find_splits(path)
    files, labels, names = _list_images(train)
    how = names, image_size, stream, faults
    if test is None:
        return _decode_all(path, [(files, labels)], *how)
    test_files, test_labels, test_names = _list_images(test)
    if (names is None) != (test_names is None):
        raise ValueError(
            "Expected classes in both train and test or in neither; received: "
            f"train {names}, test {test_names} in {path}."
        )
    if names is not None:
        test_labels = _relabel(test_labels, test_names, names, path)
    splits = [(files, labels), (test_files, test_labels)]
    return _decode_all(path, splits, *how)


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


def _decode_all(path, splits, names, image_size, stream, faults):
    splits, headers = _readable(path, splits, faults)
    size = image_size or _common_size(headers)
    channels = 1 if all(is_gray for _, is_gray in headers.values()) else 3
    num_bytes = len(headers) * math.prod(size) * channels
    stream = limits.should_stream(num_bytes, stream)
    if not stream:
        limits.check_bytes(num_bytes, path)
    shape = (*size, channels)
    arrays = []
    for files, labels in splits:
        read = _stream if stream else _read
        arrays += read(files, labels, shape, image_size is None, faults)
    spec = f"folder:{os.fspath(path)}"
    # Two or four arrays, which the checker cannot count.
    return ImageData(spec, *arrays, class_names=names)  # type: ignore[misc]


def _readable(path, splits, faults):
    """Returns the splits without faulty files, and the headers of the rest."""
    headers = {}
    for file in (file for files, _ in splits for file in files):
        with faults.caught(str(file)):
            headers[file] = image_file.read_header(file)
    rows = [[i for i, f in enumerate(x) if f in headers] for x, _ in splits]
    splits = [
        _take(files, labels, chosen)
        for (files, labels), chosen in zip(splits, rows)
    ]
    for files, _ in splits:
        _not_empty(files, path)
    return splits, headers


def _take(files, labels, rows):
    labels = None if labels is None else labels[rows]
    return [files[row] for row in rows], labels


def _read(files, labels, shape, is_exact, faults):
    """Returns images in memory and labels, those of the files that decode."""
    images, good = np.empty([len(files), *shape], np.uint8), []
    for row, file in enumerate(files):
        with faults.caught(str(file)):
            images[row] = _decode(file, shape, is_exact)
            good.append(row)
    _not_empty(good, files[0].parent)
    if len(good) < len(files):
        images = images[good]
    return images, _take(files, labels, good)[1]


def _stream(files, labels, shape, is_exact, faults):
    """Returns images that are decoded when they are used, and labels."""

    def read_one(row):
        for other in _stand_ins(row, labels, len(files)):
            with faults.caught(str(files[other])):
                return _decode(files[other], shape, is_exact)
        raise ValueError(
            f"Expected an image to take the place of {files[row]}, which "
            "cannot be read; received: none of its class that can be."
        )

    def read(rows):
        images = np.empty([len(rows), *shape], np.uint8)
        for image, row in zip(images, rows, strict=True):
            image[...] = read_one(row)
        return images

    return StreamedImages(read, (len(files), *shape)), labels


def _stand_ins(row, labels, count):
    """Yields a row, and then those of its class, the next ones first."""
    yield row
    same = np.arange(count)
    if labels is not None:
        same = np.flatnonzero(labels == labels[row])
    yield from np.roll(same, -np.searchsorted(same, row))[1:].tolist()


def _decode(file, shape, is_exact):
    """Decodes a file, unless it is of another kind than when it was listed."""
    size, is_gray = image_file.read_header(file)
    if is_exact and size != shape[:2]:
        raise ValueError(
            f"Expected images of {shape[:2]} (height, width); received: {file} "
            f"of {size}."
        )
    if shape[2] == 1 and not is_gray:
        raise ValueError(
            f"Expected gray images, as all were; received: {file} in colour."
        )
    return image_file.decode(file, shape[:2], shape[2])


def _common_size(headers):
    first, (size, _) = next(iter(headers.items()))
    for file, (other, _) in headers.items():
        if other != size:
            raise ValueError(
                "Expected images of one size, or an image_size; received: "
                f"{first} of {size} and {file} of {other} (height, width)."
            )
    return size
