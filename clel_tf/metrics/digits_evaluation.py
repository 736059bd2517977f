"""Figures of generated 8x8 digits."""

import numpy as np
from numpy.typing import ArrayLike

from clel_tf.metrics.distances import as_points
from clel_tf.metrics.extractors.digits_margins import DigitsMargins
from clel_tf.metrics.frechet_distance import frechet_distance
from clel_tf.metrics.memorised import memorised
from clel_tf.metrics.prdc import prdc

_SHAPE = (8, 8, 1)
_CLASSES = 10
_NEIGHBOR = 3  # that sets the radii of precision and coverage


class DigitsEvaluator:
    """Judges images of digits by a classifier's margins and by their pixels.

    Features are the 45 one-vs-one margins of a support vector classifier
    fitted on the training images. Their Frechet distance weighs the balance of
    the classes and the classifier's confidence more than strokes, so precision
    and coverage in pixels stand beside it. Compare figures at equal n only.

    Whole levels k become the midpoints (k + 0.5)/levels of the intervals that
    dequantisation spreads them over. Nothing here is random but `noise` and
    `floors`, which are functions of their seed.

    Args:
        x_train: uint8 array `[n, 8, 8, 1]` of levels below `levels`, n >= 4.
        y_train: integer array `[n]` of labels; all of 0 to 9 occur.
        x_test: uint8 array `[m, 8, 8, 1]`, m >= 4, held out of training.
        levels: int. Number of grey levels of the data.

    Raises:
        TypeError: if images are not uint8 or labels not integers.
        ValueError: if a shape, level or label does not fit.

    Example:

    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from clel_tf.metrics import DigitsEvaluator
    >>> digits = load_digits()
    >>> x = digits.images[..., np.newaxis].astype(np.uint8)
    >>> y = digits.target
    >>> evaluator = DigitsEvaluator(x[:1437], y[:1437], x[1437:])
    >>> figures = evaluator.figures(evaluator.noise(100, seed=0))
    >>> figures["precision"], figures["memorised"]
    (0.0, 0.0)

    Reference:
        [Kaynak: Methods of Combining Multiple Classifiers and Their
        Applications to Handwritten Digit Recognition, 1995](
        https://archive.ics.uci.edu/dataset/80), the data set
    """

    def __init__(
        self,
        x_train: ArrayLike,
        y_train: ArrayLike,
        x_test: ArrayLike,
        levels: int = 17,
    ):
        x_train = _check_levels("x_train", x_train, levels)
        x_test = _check_levels("x_test", x_test, levels)
        self._extractor = DigitsMargins(x_train, y_train, levels)
        self.levels = levels
        images = {
            "train": (x_train + 0.5) / levels,
            "test": (x_test + 0.5) / levels,
        }
        self._pixels = {
            split: as_points(split, x) for split, x in images.items()
        }
        self._margins = {
            split: self._extractor(x).features for split, x in images.items()
        }

    def figures(self, images: ArrayLike, against: str = "train") -> dict:
        """Computes the figures of a set of images.

        Args:
            images: float array `[n, 8, 8, 1]`, values in [0, 1], n >= 4; more
                than 64, or the Frechet distances warn of their bias.
            against: "train" or "test". The split that `frechet_distance`,
                `pixel_frechet_distance`, `precision` and `coverage` compare
                with; the other keys do not depend on it.

        Returns:
            dict of floats that `json.dump` takes: `frechet_distance`,
            `frechet_distance_test_split` (of the margins),
            `pixel_frechet_distance`, `precision`, `coverage` (balls to the
            third neighbour, in pixels), `memorised` (of training images) and
            `class_histogram`, a list of the ten classes' predicted shares.

        Raises:
            TypeError: if the images are not float.
            ValueError: if their shape or range does not fit, or `against` is
                not a split.
        """
        pixels = _as_pixels(images)
        if against not in self._pixels:
            raise ValueError(
                f"Expected against to be 'train' or 'test'; "
                f"received: {against!r}."
            )
        reference = self._pixels[against]
        margins = self._extractor(images).features
        balls = prdc(pixels, reference, k=_NEIGHBOR)
        return {
            "frechet_distance": frechet_distance(
                margins, self._margins[against]
            ),
            "frechet_distance_test_split": frechet_distance(
                margins, self._margins["test"]
            ),
            "pixel_frechet_distance": frechet_distance(pixels, reference),
            "precision": balls.precision,
            "coverage": balls.coverage,
            "memorised": memorised(
                pixels, self._pixels["train"], self._pixels["test"]
            ),
            "class_histogram": self._class_histogram(images),
        }

    def noise(self, n: int, seed: int) -> np.ndarray:
        """Draws n images of independent uniform pixels, float32 in [0, 1)."""
        return np.random.default_rng(seed).random((n, *_SHAPE), np.float32)

    def floors(self, n: int = 1000, seed: int = 0) -> dict:
        """Computes the figures that tell what the figures of samples mean.

        Args:
            n: int, at least 4. Number of images to judge; as many as samples.
            seed: int. What is drawn depends on it alone.

        Returns:
            dict of the `figures` of three sets: `test_split` and
            `resampled_train`, n images drawn with replacement from a split,
            and `noise`.
        """
        rng = np.random.default_rng(seed)
        return {
            "test_split": self.figures(self._resample("test", n, rng)),
            "resampled_train": self.figures(self._resample("train", n, rng)),
            "noise": self.figures(self.noise(n, seed)),
        }

    def _resample(self, split, n, rng):
        return rng.choice(self._pixels[split], n).reshape(n, *_SHAPE)

    def _class_histogram(self, images):
        labels = self._extractor.classes(images)
        return (np.bincount(labels, minlength=_CLASSES) / len(labels)).tolist()


def _check_levels(name, images, levels) -> np.ndarray:
    images = np.asarray(images)
    if images.dtype != np.uint8:
        raise TypeError(
            f"Expected {name} of dtype uint8; received: {images.dtype}."
        )
    _check_shape(name, images)
    if images.max() >= levels:
        raise ValueError(
            f"Expected {name} below levels={levels}; received: {images.max()}."
        )
    return images


def _as_pixels(images):
    images = np.asarray(images)
    if images.dtype.kind != "f":
        raise TypeError(
            f"Expected images of a float dtype; received: {images.dtype}."
        )
    _check_shape("images", images)
    pixels = as_points("images", images)
    if pixels.min() < 0.0 or pixels.max() > 1.0:
        raise ValueError(
            "Expected images in [0, 1]; received: values from "
            f"{pixels.min()} to {pixels.max()}."
        )
    return pixels


def _check_shape(name, images):
    if images.shape[1:] != _SHAPE or len(images) <= _NEIGHBOR:
        raise ValueError(
            f"Expected {name} of shape [n, 8, 8, 1] with n > {_NEIGHBOR}; "
            f"received: shape {images.shape}."
        )
