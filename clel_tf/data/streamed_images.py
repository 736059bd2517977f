"""Images that stay in their files until a batch needs them."""

import math

import numpy as np
import tensorflow as tf


class StreamedImages:
    """A read-only stand-in for a uint8 array larger than memory.

    Indexing by rows reads just these: `images[7]`, `images[10:20]` and
    `images[[5, 3]]` are arrays in memory, `images[:]` is all of it. Nothing
    that was read is kept.

    Args:
        read: Function of an int64 array of row numbers, of shape `[n]`, each
            in `[0, N)`, to a uint8 array of shape `[n, H, W, C]`. It may be
            called from several threads at once.
        shape: Tuple of ints `(N, H, W, C)`.

    Raises:
        TypeError: If it is indexed by more than rows, or used as an array.

    Example:

    >>> squares = StreamedImages(
    ...     lambda rows: (rows**2).astype(np.uint8).reshape(-1, 1, 1, 1),
    ...     shape=(16, 1, 1, 1),
    ... )
    >>> len(squares), squares[[3, -1]].ravel()
    (16, array([  9, 225], dtype=uint8))
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, read, shape):
        self.shape: tuple[int, ...] = tuple(shape)
        self._read = read
        # Indexed in place of the images, so that every index means what it
        # means to NumPy, negative and wrong ones too.
        self._rows = np.arange(self.shape[0])

    @property
    def ndim(self):
        """int, the number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows) -> np.ndarray:
        rows = self._pick(rows)
        images = self._read(rows.ravel())
        return images.reshape(*rows.shape, *self.shape[1:])

    def __array__(self, dtype=None, copy=None):
        raise TypeError(
            "Expected images in memory; received: streamed ones, "
            f"{math.prod(self.shape)} bytes of shape {self.shape}. Read some "
            "of them by images[start:stop], or load with stream=False."
        )

    def select(self, rows) -> "StreamedImages":
        """Returns the `StreamedImages` of some rows, without reading them.

        Args:
            rows: slice or int array of shape `[n]`.
        """
        rows = self._pick(rows)
        return StreamedImages(
            lambda chosen: self._read(rows[chosen]),
            (*rows.shape, *self.shape[1:]),
        )

    def gather(self, rows):
        """Reads rows within a TensorFlow graph, as `tf.gather` would.

        Args:
            rows: Integer tensor of static shape `[n]`.

        Returns:
            uint8 tensor of shape `[n, H, W, C]`.
        """
        images = tf.numpy_function(
            self.__getitem__, [rows], tf.uint8, stateful=False
        )
        images.set_shape([*rows.shape, *self.shape[1:]])
        return images

    def _pick(self, rows):
        if isinstance(rows, tuple):
            raise TypeError(
                "Expected streamed images to be indexed by rows only; "
                f"received: {rows}."
            )
        return np.asarray(self._rows[rows])
