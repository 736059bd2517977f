"""Margins of a classifier of digits as features."""

import numpy as np
from sklearn.svm import SVC

from clel_tf.metrics.distances import as_points
from clel_tf.metrics.extractors.features import Features
from clel_tf.metrics.extractors.images import as_floats
from clel_tf.metrics.extractors.sha256 import sha256_of_arrays
from clel_tf.models.common import check_images

_SHAPE = (8, 8, 1)
_CLASSES = 10


class DigitsMargins:
    """The 45 one-vs-one margins of a classifier of digits; see `extractors`.

    The classifier is a support vector machine of radial basis functions, with
    scikit-learn's settings C = 1 and gamma = 1/(64 variance of all pixels),
    fitted on the midpoints (k + 0.5)/levels of the training images' levels k.
    Nothing of it is random.

    Args:
        x_train: uint8 array `[n, 8, 8, 1]` of levels below `levels`.
        y_train: integer array `[n]` of labels; all of 0 to 9 occur.
        levels: int. Number of grey levels of `x_train`.

    Raises:
        TypeError: if images are not uint8 or labels not integers.
        ValueError: if a shape, level or label does not fit.

    Example:

    >>> from clel_tf.metrics import extractors
    >>> data = clel_tf.data.load("digits")
    >>> extractor = extractors.DigitsMargins(data.x_train, data.y_train)
    >>> images = clel_tf.data.dequantize(data.x_test[:3], data.levels)
    >>> extractor(images).features.shape, extractor.classes(images)
    ((3, 45), array([...]))

    Reference:
        [Kaynak: Methods of Combining Multiple Classifiers and Their
        Applications to Handwritten Digit Recognition, 1995](
        https://archive.ics.uci.edu/dataset/80), the data set
    """

    name = "digits"

    def __init__(self, x_train, y_train, levels=17):
        x_train = _check_levels(x_train, levels)
        y_train = _check_labels(y_train, len(x_train))
        self._identity = {
            "name": self.name,
            "sha256": sha256_of_arrays([x_train, y_train]),
            "levels": int(levels),
            "classifier": "one-vs-one SVC, gamma=scale",
        }
        self._classifier = SVC(gamma="scale", decision_function_shape="ovo")
        points = (as_points("x_train", x_train) + 0.5) / levels
        self._classifier.fit(points, y_train)

    def __call__(self, images):
        return Features(self._classifier.decision_function(_points(images)))

    def classes(self, images):
        """Predicts the digits, int array `[n]`, of images `[n, 8, 8, 1]`."""
        return self._classifier.predict(_points(images))

    def identity(self):
        """dict of the name, the training data's SHA-256 and the settings."""
        return dict(self._identity)


def _points(images):
    return as_points("images", as_floats(images, _SHAPE))


def _check_levels(images, levels):
    images = np.asarray(images)
    if images.dtype != np.uint8:
        raise TypeError(
            f"Expected x_train of dtype uint8; received: {images.dtype}."
        )
    return check_images(images, _SHAPE, levels)


def _check_labels(labels, count):
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu":
        raise TypeError(
            f"Expected y_train of integers; received: dtype {labels.dtype}."
        )
    if labels.shape != (count,) or set(labels) != set(range(_CLASSES)):
        raise ValueError(
            f"Expected y_train of shape ({count},) with all of 0 to 9; "
            f"received: shape {labels.shape}, labels {np.unique(labels)}."
        )
    return labels.astype(np.int64)
