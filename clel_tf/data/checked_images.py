"""A stream of images, each of them looked at before it is used."""

import numpy as np
import tensorflow as tf

from clel_tf.data.faults import Faults


def checked_images(images, image_shape, levels=256, faults=None):
    """Looks at each image of a data set of one's own before training does.

    Before `batch`, where one image can still be left out of a batch:

        images = clel_tf.data.checked_images(images, (32, 32, 3))
        model.fit(images.batch(64), ...)

    The check is a part of the graph; Python runs for faulty images only.

    Args:
        images: `tf.data.Dataset` of single images of rank 3, uint8 with values
            in `[0, levels)` or floating with values in [0, 1]; or of tuples
            whose first part they are.
        image_shape: Tuple of ints `(H, W, C)`.
        levels: int in `[2, 256]`. The number of values of a uint8 pixel.
        faults: Optional `Faults`. Defaults to `Faults("raise")`: reading the
            first image that holds NaN or a value out of range, or is of another
            shape, fails with an error that names it by its place in the stream,
            from 0. With `Faults("skip")` such images are left out and counted.

    Returns:
        `tf.data.Dataset` of the same elements, their images of this shape.

    Raises:
        TypeError: If the images are neither uint8 nor floating.

    Example:

    >>> images = np.zeros([4, 2, 2, 1], np.float32)
    >>> images[1, 0, 0] = np.nan
    >>> faults = clel_tf.data.Faults("skip")
    >>> stream = tf.data.Dataset.from_tensor_slices(images)
    >>> stream = checked_images(stream, (2, 2, 1), faults=faults)
    >>> len(list(stream))
    Skipping image 1: Expected pixels in [0, 1]; received: 1 that are not.
    3
    """
    faults, spec = faults or Faults(), images.element_spec
    dtype = (spec[0] if isinstance(spec, tuple) else spec).dtype
    if not (dtype.is_floating or dtype == tf.uint8):
        raise TypeError(
            f"Expected uint8 or floating images; received: dtype {dtype.name}."
        )
    image_shape = tuple(image_shape)
    bounds = "[0, 1]" if dtype.is_floating else f"[0, {levels})"

    def tell(index, shape, wrong):
        with faults.caught(f"image {index}"):
            _refuse(tuple(shape.tolist()), wrong, image_shape, bounds)
        return np.bool_(False)

    def is_good(index, image, *_):
        shape, wrong = tf.shape(image), _count_wrong(image, levels)
        fits = tf.cond(
            tf.rank(image) == len(image_shape),
            lambda: tf.reduce_all(tf.equal(shape, image_shape)),
            lambda: False,
        )
        return tf.cond(
            fits & (wrong == 0),
            lambda: True,
            lambda: tf.ensure_shape(
                tf.numpy_function(tell, [index, shape, wrong], tf.bool), []
            ),
        )

    def finish(_, image, *others):
        image = tf.ensure_shape(image, image_shape)
        return (image, *others) if others else image

    numbered = images.enumerate()
    if isinstance(spec, tuple):
        numbered = numbered.map(lambda index, parts: (index, *parts))
    return numbered.filter(is_good).map(finish)


def _count_wrong(image, levels):
    """Number of values out of range; NaN compares as false."""
    if image.dtype.is_floating:
        good = (image >= 0.0) & (image <= 1.0)
    else:
        good = tf.cast(image, tf.int32) < levels
    return tf.size(image) - tf.math.count_nonzero(good, dtype=tf.int32)


def _refuse(shape, wrong, image_shape, bounds):
    if shape != image_shape:
        raise ValueError(
            f"Expected an image of shape {image_shape}; received: {shape}."
        )
    raise ValueError(
        f"Expected pixels in {bounds}; received: {wrong} that are not."
    )
