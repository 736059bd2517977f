"""Crops of random size, shape and place, resized to the whole image."""

import math

import keras
import tensorflow as tf
from keras import ops

from clel_tf import random
from clel_tf.layers.random_image_layer import RandomImageLayer
from clel_tf.layers.random_image_layer import check_range
from clel_tf.layers.random_image_layer import row_keys
from clel_tf.layers.resized_crop import KERNELS
from clel_tf.layers.resized_crop import resized_crop

_ATTEMPTS = 10  # torchvision's and kornia's number


@keras.saving.register_keras_serializable(package="clel_tf")
class RandomResizedCrop(RandomImageLayer):
    """Cuts a random box out of each image and resizes it to the full size.

    The box covers a fraction of the image's area uniform in `scale`, its ratio
    width / height is log-uniform in `ratio`, its place uniform. A box that does
    not fit into the image is drawn again, up to ten times; then the largest box
    of an allowed ratio is taken, which for a square image and a range that
    includes 1 is the whole image.

    The first and last output pixels lie on the first and last pixels of the box
    (`align_corners`), there is no antialiasing, and pixels outside of the box
    are replaced by its border, as when a cut-out is resized on its own.

    Args:
        scale: pair of floats within (0, 1]. Range of the area's fraction.
            Defaults to `(0.08, 1)`.
        ratio: pair of positive floats. Range of width / height.
            Defaults to `(3/4, 4/3)`.
        interpolation: `"bicubic"` or `"bilinear"`. Defaults to `"bicubic"`,
            Keys' kernel with a = -0.75, which may leave the pixels' range.
        integer_boxes: bool. Whether boxes are rounded to whole pixels. Defaults
            to `True`; tiny images want `False`, as rounding leaves them few
            different boxes.
        clip: bool. Whether the result is clipped to [0, 1]. Defaults to
            `False`, as in kornia.
        seed: see `RandomImageLayer`, as are the call arguments.

    Raises:
        ValueError: if an argument is outside its range.

    Example:

    >>> import keras
    >>> from clel_tf import random
    >>> from clel_tf.layers.random_resized_crop import RandomResizedCrop
    >>> crop = RandomResizedCrop(scale=(0.2, 1.0))
    >>> crop(keras.ops.ones((2, 32, 32, 3)), seed=random.as_key(0)).shape
    TensorShape([2, 32, 32, 3])

    Reference:
        [Chen et al., 2020](https://arxiv.org/abs/2002.05709), Appendix A;
        [kornia](https://github.com/kornia/kornia)'s class of this name.
    """

    def __init__(
        self,
        scale=(0.08, 1.0),
        ratio=(3 / 4, 4 / 3),
        interpolation="bicubic",
        integer_boxes=True,
        clip=False,
        seed=None,
        **kwargs,
    ):
        super().__init__(seed=seed, **kwargs)
        self.scale = check_range("scale", scale, high=1)
        self.ratio = check_range("ratio", ratio, high=math.inf)
        self.interpolation = _check_interpolation(interpolation)
        self.integer_boxes = integer_boxes
        self.clip = clip

    @property
    def changes_images(self):
        return self.scale != (1, 1) or self.ratio != (1, 1)

    def augment(self, images, key):
        boxes = random_boxes(
            row_keys(images, key),
            size=images.shape[1:3],
            scale=self.scale,
            ratio=self.ratio,
            integer_boxes=self.integer_boxes,
        )
        cropped = resized_crop(images, boxes, self.interpolation)
        return ops.clip(cropped, 0.0, 1.0) if self.clip else cropped

    def get_config(self):
        return {
            **super().get_config(),
            "scale": self.scale,
            "ratio": self.ratio,
            "interpolation": self.interpolation,
            "integer_boxes": self.integer_boxes,
            "clip": self.clip,
        }


def random_boxes(keys, size, scale, ratio, integer_boxes=True):
    """Draws one box within the image for each key.

    Args:
        keys: uint64 tensor `[B]`.
        size: pair of ints, the images' height and width.
        scale: pair of floats, range of the fraction of the area.
        ratio: pair of floats, range of width / height.
        integer_boxes: bool. Whether boxes consist of whole pixels.

    Returns:
        float32 tensor `[B, 4]`: top, left, height, width, in pixels. Sides are
        at least one pixel.
    """
    limit = ops.cast(ops.stack(size), "float32")
    sides = _random_sides(keys, size, scale, ratio, integer_boxes)
    place = random.uniform(random.fold_in(keys, 1), (2,))
    if integer_boxes:
        corner = ops.floor(place * (limit - sides + 1.0))
    else:
        corner = place * (limit - sides)
    return ops.concatenate([corner, sides], axis=-1)


def _random_sides(keys, size, scale, ratio, integer_boxes):
    draws = random.uniform(keys, (2, _ATTEMPTS))
    area = scale[0] + (scale[1] - scale[0]) * draws[:, 0]
    low, high = math.log(ratio[0]), math.log(ratio[1])
    root = ops.exp(0.5 * (low + (high - low) * draws[:, 1]))
    side = ops.sqrt(area * (size[0] * size[1]))
    sides = ops.stack([side / root, side * root], axis=-1)
    sides = ops.round(sides) if integer_boxes else sides
    # Rounding errors of a box as large as the image are no reason to redraw.
    limit = ops.cast(ops.stack(size), "float32")
    fits = ops.all(sides <= limit + 1e-3, axis=-1)
    first = ops.argmax(ops.cast(fits, "int32"), axis=-1)
    sides = tf.gather(sides, first, batch_dims=1)
    fallback = _largest_sides(size, ratio, integer_boxes)
    sides = ops.where(ops.any(fits, axis=-1)[:, None], sides, fallback)
    return ops.minimum(ops.maximum(sides, 1.0), limit)


def _largest_sides(size, ratio, integer_boxes):
    height = min(size[0], size[1] / ratio[0])
    width = min(size[1], size[0] * ratio[1])
    sides = (round(height), round(width)) if integer_boxes else (height, width)
    return ops.cast(ops.stack(sides), "float32")


def _check_interpolation(interpolation):
    if interpolation not in KERNELS:
        raise ValueError(
            f"Expected interpolation as one of {sorted(KERNELS)}; "
            f"received: {interpolation!r}."
        )
    return interpolation
