"""The images of some classes, or of the others."""

import operator

import numpy as np

from clel_tf.data.image_data import ImageData
from clel_tf.data.streamed_images import StreamedImages


def select_classes(data, classes, without=False):
    """Takes the images of some classes, in training and test images each.

    Labels stay as they are and are not counted anew, and so do class names.

    Args:
        data: `ImageData` with labels of each part.
        classes: Sequence of ints, at least one. Each occurs in `data`.
        without: bool. Whether to take the images of all other classes
            instead. Defaults to `False`.

    Returns:
        `ImageData`; streamed where `data` is. Without a test part if no test
        image is of the classes taken.

    Raises:
        TypeError: If a class is not an integer.
        ValueError: If there are no labels, a class does not occur, or no
            training image is left.

    Example:

    >>> images = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1)
    >>> data = ImageData("five pixels", images, np.array([0, 3, 3, 7, 0]))
    >>> threes = select_classes(data, [3])
    >>> threes.spec, threes.x_train.ravel(), threes.y_train
    ('only:3:five pixels', array([1, 2], dtype=uint8), array([3, 3]))
    >>> select_classes(data, [3, 7], without=True).y_train
    array([0, 0])
    """
    classes = [operator.index(label) for label in classes]
    _check_labels(data, classes)
    prefix = "without" if without else "only"
    spec = f"{prefix}:{','.join(map(str, classes))}:{data.spec}"
    x_train, y_train = _select(data.x_train, data.y_train, classes, without)
    x_test, y_test = _select(data.x_test, data.y_test, classes, without)
    if y_train is None:
        raise ValueError(
            f"Expected training images to be left in {spec}; received: none "
            f"of {len(data.x_train)}."
        )
    return ImageData(
        spec, x_train, y_train, x_test, y_test, data.levels, data.class_names
    )


def _check_labels(data, classes):
    if data.y_train is None or (data.x_test is None) != (data.y_test is None):
        raise ValueError(
            "Expected images with labels, to select classes; received: "
            f"{data.spec}, parts of which have none."
        )
    labels = [y for y in (data.y_train, data.y_test) if y is not None]
    missing = np.setdiff1d(classes, np.concatenate(labels)).tolist()
    if missing or not classes:
        raise ValueError(
            f"Expected one or more classes that occur in {data.spec}; "
            f"received: {classes}, of which {missing} do not."
        )


def _select(images, labels, classes, without):
    """Returns images and labels, or `None` for each where none is left."""
    if images is None:
        return None, None
    rows = np.flatnonzero(np.isin(labels, classes, invert=without))
    if not len(rows):
        return None, None
    is_streamed = isinstance(images, StreamedImages)
    return images.select(rows) if is_streamed else images[rows], labels[rows]
