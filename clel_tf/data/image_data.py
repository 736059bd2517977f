"""A set of images, in memory or streamed."""

import dataclasses
import functools
import math
import operator

import numpy as np
import tensorflow as tf

from clel_tf.data.order import index_batches
from clel_tf.data.streamed_images import StreamedImages

_CHUNK = 2**20  # pixels looked at at once; np.bincount makes int64 copies


@dataclasses.dataclass(frozen=True, eq=False)
class ImageData:
    """Training and test images as bytes, all of one shape, with their labels.

    Args:
        spec: str. What the images are, as `clel_tf.data.load` reads it.
        x_train: uint8 array or `StreamedImages` of shape `[N, H, W, C]`, C 1
            or 3, N at least 1.
        y_train: Optional int64 array of shape `[N]`, classes from 0.
        x_test: Optional uint8 array or `StreamedImages` of shape
            `[M, H, W, C]`.
        y_test: Optional int64 array of shape `[M]`.
        levels: int in `[2, 256]`. Pixel values are in `[0, levels)`. Defaults
            to 256, bytes.
        class_names: Optional tuple of str, the class of each label.

    Raises:
        TypeError: If an array has another dtype.
        ValueError: If an array has another shape, is empty or holds a value
            out of range.

    Example:

    >>> images = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1)
    >>> data = ImageData("four pixels", images, levels=4)
    >>> data.image_shape, data.mean
    ((1, 1, 1), (0.5,))
    >>> next(iter(data.train(batch_size=3, seed=0))).shape
    TensorShape([3, 1, 1, 1])
    """

    spec: str
    x_train: np.ndarray | StreamedImages
    y_train: np.ndarray | None = None
    x_test: np.ndarray | StreamedImages | None = None
    y_test: np.ndarray | None = None
    levels: int = 256
    class_names: tuple[str, ...] | None = None

    def __post_init__(self):
        if not 2 <= operator.index(self.levels) <= 256:
            raise ValueError(
                f"Expected levels in [2, 256]; received: {self.levels}."
            )
        self._check_images("x_train")
        self._check_labels("y_train", self.x_train)
        if self.x_test is not None:
            self._check_images("x_test")
            self._check_same_shape(self.x_test.shape[1:])
        self._check_labels("y_test", self.x_test)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Tuple `(H, W, C)` of ints."""
        return tuple(self.x_train.shape[1:])

    @property
    def mean(self) -> tuple[float, ...]:
        """The mean of each channel, a tuple of floats, over `x_train`.

        Of dequantised values at their midpoints, `(k + 0.5) / levels`. The
        first use reads all streamed images once, and decodes those of folders.
        """
        return self._moments[0]

    @property
    def std(self) -> tuple[float, ...]:
        """The standard deviation of each channel, a tuple of floats.

        Of the same values as `mean`; 0 for a channel that never varies.
        """
        return self._moments[1]

    def train(
        self,
        batch_size: int,
        seed: int,
        start_step: int = 0,
        with_labels: bool = False,
    ) -> tf.data.Dataset:
        """Batches of training images, without end.

        The batch of a step depends on `seed` and the step only: a run that
        starts at `start_step` sees what an uninterrupted one sees. Every epoch
        is a new permutation of all images; epochs follow each other within a
        batch, so that each image is seen once in an epoch and none is dropped.

        Args:
            batch_size: int, at least 1; may be larger than the set.
            seed: int. Seed of the permutations.
            start_step: int, at least 0. The step of the first batch. Defaults
                to 0.
            with_labels: bool. Whether to add the labels. Defaults to `False`.

        Returns:
            `tf.data.Dataset` of uint8 tensors of shape `[batch_size, H, W, C]`,
            or of pairs of them and int64 tensors of shape `[batch_size]`.

        Raises:
            TypeError: If a number is not an integer.
            ValueError: If a number is out of range, or there are no labels.
        """
        batch_size = _at_least(1, batch_size, "batch_size")
        start_step = _at_least(0, start_step, "start_step")
        seed = operator.index(seed)
        if with_labels and self.y_train is None:
            raise ValueError(
                "Expected data with labels for with_labels=True; received: "
                f"{self.spec} without y_train."
            )
        arrays = (self.x_train, self.y_train) if with_labels else self.x_train
        return _gather_batches(
            tf.nest.map_structure(_gatherer, arrays),
            index_batches(len(self.x_train), batch_size, seed, start_step),
        )

    def take(self, n: int) -> "ImageData":
        """Takes fewer training images, and the test images as they are.

        Evenly spaced ones, `floor(i N / n)` for i < n, as sources may order
        images by class.

        Args:
            n: int in `[1, N]`.

        Returns:
            `ImageData` of the same spec; streamed where this is.

        Raises:
            TypeError: If `n` is not an integer.
            ValueError: If `n` is out of range.

        Example:

        >>> images = np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1)
        >>> ImageData("ten pixels", images).take(4).x_train.ravel()
        array([0, 2, 5, 7], dtype=uint8)
        """
        n, images, labels = operator.index(n), self.x_train, self.y_train
        if not 1 <= n <= len(images):
            raise ValueError(
                f"Expected n in [1, {len(images)}], the training images of "
                f"{self.spec}; received: {n}."
            )
        rows = np.arange(n) * len(images) // n
        if isinstance(images, StreamedImages):
            images = images.select(rows)
        else:
            images = images[rows]
        labels = None if labels is None else labels[rows]
        return dataclasses.replace(self, x_train=images, y_train=labels)

    @functools.cached_property
    def _moments(self):
        values = (np.arange(self.levels) + 0.5) / self.levels
        shares = self._counts() / math.prod(self.x_train.shape[:-1])
        mean = shares @ values
        std = np.sqrt((shares * (values - mean[:, np.newaxis]) ** 2).sum(1))
        return tuple(mean.tolist()), tuple(std.tolist())

    def _counts(self):
        """How often each channel has each value: exact, unlike a float sum."""
        counts = np.zeros([self.x_train.shape[-1], self.levels], np.int64)
        for chunk in _chunks(self.x_train):
            for channel, row in enumerate(counts):
                values = chunk[..., channel].ravel()
                row += np.bincount(values, minlength=self.levels)
        return counts

    def _check_images(self, name):
        images = getattr(self, name)
        where = f"{name} of {self.spec}"
        _check_dtype(images, np.uint8, where)
        if images.ndim != 4 or 0 in images.shape:
            raise ValueError(
                f"Expected {where} to have shape [N, H, W, C] without zeros; "
                f"received: shape {images.shape}."
            )
        if images.shape[-1] not in (1, 3):
            raise ValueError(
                f"Expected {where} to have 1 or 3 channels; received: "
                f"{images.shape[-1]} channels, shape {images.shape}."
            )
        if self.levels < 256:
            largest = max(chunk.max() for chunk in _chunks(images))
            if largest >= self.levels:
                raise ValueError(
                    f"Expected {where} to have values below levels="
                    f"{self.levels}; received: {largest}."
                )

    def _check_labels(self, name, images):
        labels = getattr(self, name)
        if labels is None:
            return
        where = f"{name} of {self.spec}"
        _check_dtype(labels, np.int64, where)
        shape = None if images is None else images.shape[:1]
        if labels.shape != shape:
            raise ValueError(
                f"Expected {where} to have one label an image, shape {shape}; "
                f"received: shape {labels.shape}."
            )
        if labels.min() < 0:
            raise ValueError(
                f"Expected {where} to have classes from 0; received: "
                f"{labels.min()}."
            )

    def _check_same_shape(self, shape):
        if shape != self.image_shape:
            raise ValueError(
                f"Expected x_test of {self.spec} to have images like x_train, "
                f"{self.image_shape}; received: {shape}."
            )


def _chunks(images):
    size = max(1, _CHUNK // math.prod(images.shape[1:3]))
    for start in range(0, len(images), size):
        yield images[start : start + size]


def _gatherer(array):
    """Returns the function of row numbers that gives a batch of an array."""
    if isinstance(array, StreamedImages):
        return array.gather
    with tf.device("CPU:0"):
        # Captured as an eager tensor: a constant in the graph ends at 2 GB.
        tensor = tf.convert_to_tensor(array)
    return functools.partial(tf.gather, tensor)


def _gather_batches(gatherers, indices):
    def gather(index):
        return tf.nest.map_structure(lambda rows: rows(index), gatherers)

    batches = indices.map(gather, num_parallel_calls=tf.data.AUTOTUNE)
    endless = tf.data.INFINITE_CARDINALITY
    batches = batches.apply(tf.data.experimental.assert_cardinality(endless))
    return batches.prefetch(tf.data.AUTOTUNE)


def _at_least(minimum, value, name):
    value = operator.index(value)
    if value < minimum:
        raise ValueError(
            f"Expected {name} to be at least {minimum}; received: {value}."
        )
    return value


def _check_dtype(array, dtype, where):
    received = getattr(array, "dtype", type(array).__name__)
    if received != dtype:
        raise TypeError(
            f"Expected {where} to be a {np.dtype(dtype)} array; received: "
            f"{received}."
        )
