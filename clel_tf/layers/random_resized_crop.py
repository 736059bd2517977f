"""Crops of random size, shape and place, resized to the whole image."""

import math

import keras
import tensorflow as tf
from keras import ops

from clel_tf import random
from clel_tf.layers.random_image_layer import FLAVOURS
from clel_tf.layers.random_image_layer import RandomImageLayer
from clel_tf.layers.random_image_layer import check_choice
from clel_tf.layers.random_image_layer import check_range
from clel_tf.layers.random_image_layer import row_keys
from clel_tf.layers.resized_crop import KERNELS
from clel_tf.layers.resized_crop import resized_crop

_ATTEMPTS = 10  # torchvision's and kornia's number


@keras.saving.register_keras_serializable(package="clel_tf")
class RandomResizedCrop(RandomImageLayer):
    """Cuts a random box out of each image and resizes it to the full size.

    The box covers a fraction of the image's area uniform in `scale`, its ratio
    width / height is log-uniform in `ratio`, its place uniform. It is cut out
    and then resized: nothing outside of it is read. A box that does not fit
    into the image is drawn again, up to ten times; then one that fits is taken.
    The flavours differ in

    - the kernel of `"bicubic"`, Keys' with a = -0.75 in `"reference"` (kornia
      0.6), a = -0.5 in `"torchvision"`; both may leave the pixels' range;
    - the grid: the first and last output pixels lie on the first and last of
      the box in `"reference"` (`align_corners`), while in `"torchvision"` the
      pixels' outer edges lie on each other (half-pixel centres);
    - the border: the box's is repeated in `"reference"`, while weights of
      pixels within the box are scaled to a sum of 1 in `"torchvision"`;
    - which integer box fits: in `"reference"` only one shorter than the image
      on both sides, in `"torchvision"` any within the image;
    - the box after ten that do not fit: in `"reference"` the widest of an
      allowed ratio, by default 24 rows of 32 pixels of a 32 x 32 image, in
      `"torchvision"` the largest, by default the whole of that image.

    Kernel and border of `"torchvision"` are all that its antialiasing does
    here: it would widen the kernel only for boxes larger than the output.

    Args:
        scale: pair of floats within (0, 1]. Range of the area's fraction.
            Defaults to `(0.08, 1)`.
        ratio: pair of positive floats. Range of width / height.
            Defaults to `(3/4, 4/3)`.
        interpolation: `"bicubic"` or `"bilinear"`. Defaults to `"bicubic"`.
        integer_boxes: bool. Whether boxes are rounded to whole pixels. Defaults
            to `True`; tiny images want `False`, as rounding leaves them few
            different boxes.
        clip: bool. Whether the result is clipped to [0, 1]. Defaults to
            `False`, as in kornia and, for float images, in torchvision, which
            clips bytes and PIL images.
        flavour: `"reference"` or `"torchvision"`. Defaults to `"reference"`.
        seed: see `RandomImageLayer`, as are the call arguments.

    Raises:
        ValueError: if an argument is outside its range, or the interpolation or
            flavour unknown.

    Example:

    >>> import keras
    >>> from clel_tf import random
    >>> from clel_tf.layers.random_resized_crop import RandomResizedCrop
    >>> crop = RandomResizedCrop(scale=(0.2, 1.0))
    >>> crop(keras.ops.ones((2, 32, 32, 3)), seed=random.as_key(0)).shape
    TensorShape([2, 32, 32, 3])

    Reference:
        [Chen et al., 2020](https://arxiv.org/abs/2002.05709), Appendix A;
        [kornia](https://github.com/kornia/kornia)'s and
        [torchvision](https://github.com/pytorch/vision)'s class of this name.
    """

    def __init__(
        self,
        scale=(0.08, 1.0),
        ratio=(3 / 4, 4 / 3),
        interpolation="bicubic",
        integer_boxes=True,
        clip=False,
        flavour="reference",
        seed=None,
        **kwargs,
    ):
        super().__init__(seed=seed, **kwargs)
        self.scale = check_range("scale", scale, high=1)
        self.ratio = check_range("ratio", ratio, high=math.inf)
        self.interpolation = check_choice(
            "interpolation", interpolation, KERNELS
        )
        self.integer_boxes = integer_boxes
        self.clip = clip
        self.flavour = check_choice("flavour", flavour, FLAVOURS)

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
            flavour=self.flavour,
        )
        cropped = resized_crop(images, boxes, self.interpolation, self.flavour)
        return ops.clip(cropped, 0.0, 1.0) if self.clip else cropped

    def get_config(self):
        return {
            **super().get_config(),
            "scale": self.scale,
            "ratio": self.ratio,
            "interpolation": self.interpolation,
            "integer_boxes": self.integer_boxes,
            "clip": self.clip,
            "flavour": self.flavour,
        }


def random_boxes(
    keys, size, scale, ratio, integer_boxes=True, flavour="reference"
):
    """Draws one box within the image for each key.

    Args:
        keys: uint64 tensor `[B]`.
        size: pair of ints, the images' height and width.
        scale: pair of floats, range of the fraction of the area.
        ratio: pair of floats, range of width / height.
        integer_boxes: bool. Whether boxes consist of whole pixels.
        flavour: `"reference"` or `"torchvision"`, as of `RandomResizedCrop`.

    Returns:
        float32 tensor `[B, 4]`: top, left, height, width, in pixels. Sides are
        at least one pixel.
    """
    limit = ops.cast(ops.stack(size), "float32")
    sides = _random_sides(keys, size, scale, ratio, integer_boxes, flavour)
    place = random.uniform(random.fold_in(keys, 1), (2,))
    if integer_boxes:
        corner = ops.floor(place * (limit - sides + 1.0))
    else:
        corner = place * (limit - sides)
    return ops.concatenate([corner, sides], axis=-1)


def _random_sides(keys, size, scale, ratio, integer_boxes, flavour):
    draws = random.uniform(keys, (2, _ATTEMPTS))
    area = scale[0] + (scale[1] - scale[0]) * draws[:, 0]
    low, high = math.log(ratio[0]), math.log(ratio[1])
    root = ops.exp(0.5 * (low + (high - low) * draws[:, 1]))
    side = ops.sqrt(area * (size[0] * size[1]))
    sides = ops.stack([side / root, side * root], axis=-1)
    sides = ops.round(sides) if integer_boxes else sides
    limit = ops.cast(ops.stack(size), "float32")
    # Rounding errors of a box as large as the image are no reason to redraw;
    # kornia redraws whole-pixel boxes as long as the image.
    shorter = integer_boxes and flavour == "reference"
    fits = ops.all(sides <= limit + (-1.0 if shorter else 1e-3), axis=-1)
    first = ops.argmax(ops.cast(fits, "int32"), axis=-1)
    sides = tf.gather(sides, first, batch_dims=1)
    fallback = _fallback_sides(size, ratio, integer_boxes, flavour)
    sides = ops.where(ops.any(fits, axis=-1)[:, None], sides, fallback)
    return ops.minimum(ops.maximum(sides, 1.0), limit)


def _fallback_sides(size, ratio, integer_boxes, flavour):
    tallest = ratio[1] if flavour == "reference" else ratio[0]
    height = min(size[0], size[1] / tallest)
    width = min(size[1], size[0] * ratio[1])
    sides = (round(height), round(width)) if integer_boxes else (height, width)
    return ops.cast(ops.stack(sides), "float32")
