"""Random brightness, contrast, saturation and hue."""

import functools

import keras
from keras import ops

from clel_tf import random
from clel_tf.layers.color_adjustments import adjust_brightness
from clel_tf.layers.color_adjustments import adjust_contrast
from clel_tf.layers.color_adjustments import adjust_hue
from clel_tf.layers.color_adjustments import adjust_hue_and_clip
from clel_tf.layers.color_adjustments import adjust_saturation
from clel_tf.layers.color_adjustments import blend_with_gray
from clel_tf.layers.color_adjustments import blend_with_mean
from clel_tf.layers.random_image_layer import FLAVOURS
from clel_tf.layers.random_image_layer import RandomImageLayer
from clel_tf.layers.random_image_layer import check_between
from clel_tf.layers.random_image_layer import check_choice
from clel_tf.layers.random_image_layer import per_image
from clel_tf.layers.random_image_layer import row_keys

# With the centres of their factors, at which images stay as they are.
_ADJUSTMENTS = {
    "reference": {
        "brightness": (adjust_brightness, 0.0),
        "contrast": (adjust_contrast, 1.0),
        "saturation": (adjust_saturation, 1.0),
        "hue": (adjust_hue, 0.0),
    },
    "torchvision": {
        "brightness": (adjust_contrast, 1.0),
        "contrast": (blend_with_mean, 1.0),
        "saturation": (blend_with_gray, 1.0),
        "hue": (adjust_hue_and_clip, 0.0),
    },
}
_COLOURS_ONLY = ("saturation", "hue")


@keras.saving.register_keras_serializable(package="clel_tf")
class RandomColorJitter(RandomImageLayer):
    """Changes brightness, contrast, saturation and hue of each image.

    Each image has factors of its own, F = U(1 - strength, 1 + strength) or
    D = U(-strength, strength); the four are applied in one random order for the
    batch. What they do is a matter of the flavour:

        adjustment  "reference", kornia 0.6   "torchvision"
        brightness  x + D, clipped            F x, clipped
        contrast    F x, clipped              F x + (1 - F) mean(gray), clipped
        saturation  F S in HSV, at most 1     F x + (1 - F) gray, clipped
        hue         H + D turns in HSV        H + D turns in HSV, clipped

    with `gray` of `RandomGrayscale`, and clipping to [0, 1]. Gray images (one
    channel) have no saturation and no hue, and an adjustment of strength 0 is
    left out.

    `keras.layers.RandomColorJitter` cannot be given the key of a call.

    Args:
        brightness: float within [0, 1]. Defaults to 0.4.
        contrast: float within [0, 1]. Defaults to 0.4.
        saturation: float within [0, 1]. Defaults to 0.4.
        hue: float within [0, 0.5], in turns. Defaults to 0.1.
        probability: float within [0, 1]. Fraction of the images that are
            changed. Defaults to 0.8.
        flavour: `"reference"` or `"torchvision"`. Defaults to `"reference"`.
        seed: see `RandomImageLayer`, as are the call arguments.

    Raises:
        ValueError: if an argument is outside its range, or the flavour unknown.

    Example:

    >>> import keras
    >>> from clel_tf import random
    >>> from clel_tf.layers.random_color_jitter import RandomColorJitter
    >>> jitter = RandomColorJitter(saturation=0.0, hue=0.0)
    >>> jitter(keras.ops.ones((2, 8, 8, 1)), seed=random.as_key(0)).shape
    TensorShape([2, 8, 8, 1])

    Reference:
        [Chen et al., 2020](https://arxiv.org/abs/2002.05709), Appendix A;
        [kornia](https://github.com/kornia/kornia)'s and
        [torchvision](https://github.com/pytorch/vision)'s `ColorJitter`.
    """

    def __init__(
        self,
        brightness=0.4,
        contrast=0.4,
        saturation=0.4,
        hue=0.1,
        probability=0.8,
        flavour="reference",
        seed=None,
        **kwargs,
    ):
        super().__init__(seed=seed, **kwargs)
        self.brightness = check_between("brightness", brightness, 0, 1)
        self.contrast = check_between("contrast", contrast, 0, 1)
        self.saturation = check_between("saturation", saturation, 0, 1)
        self.hue = check_between("hue", hue, 0, 0.5)
        self.probability = check_between("probability", probability, 0, 1)
        self.flavour = check_choice("flavour", flavour, FLAVOURS)

    @property
    def changes_images(self):
        strengths = (self.brightness, self.contrast, self.saturation, self.hue)
        return self.probability > 0 and any(strengths)

    def augment(self, images, key):
        keys = row_keys(images, key)
        factors = self._draw_factors(keys, channels=images.shape[-1])
        if not factors:
            return images
        order = random_order(key, len(factors))
        changed = random.uniform(random.fold_in(keys, 1)) < self.probability
        jittered = jitter(images, factors, order, self.flavour)
        return ops.where(per_image(changed), jittered, images)

    def get_config(self):
        return {
            **super().get_config(),
            "brightness": self.brightness,
            "contrast": self.contrast,
            "saturation": self.saturation,
            "hue": self.hue,
            "probability": self.probability,
            "flavour": self.flavour,
        }

    def _draw_factors(self, keys, channels):
        adjustments = _ADJUSTMENTS[self.flavour]
        draws = random.uniform(keys, (len(adjustments),), -1.0, 1.0)
        factors = {}
        for index, (name, (_, centre)) in enumerate(adjustments.items()):
            strength = getattr(self, name)
            if strength == 0 or (channels == 1 and name in _COLOURS_ONLY):
                continue
            factors[name] = centre + strength * draws[:, index]
        return factors


def random_order(key, count):
    """Draws a permutation of `range(count)` for each key, int32 `[..., count]`.

    Its draws are those of the batch's key; the rows' come from folded keys.
    """
    return ops.argsort(random.uniform(key, (count,)))


def jitter(images, factors, order, flavour="reference"):
    """Applies adjustments of colour in a given order.

    Args:
        images: float32 tensor `[B, H, W, C]`; C is 3 for saturation and hue.
        factors: dict of float32 tensors `[B]`, with any of the names
            `"brightness"`, `"contrast"`, `"saturation"` and `"hue"`.
        order: int32 tensor, a permutation of `range(len(factors))`: positions
            in the dict, the first to be applied first.
        flavour: `"reference"` or `"torchvision"`, as of `RandomColorJitter`.

    Returns:
        float32 tensor `[B, H, W, C]`.

    Example:

    >>> import keras
    >>> from clel_tf.layers.random_color_jitter import jitter
    >>> gray = keras.ops.full((1, 1, 1, 1), 0.25)
    >>> factors = {"brightness": [0.5], "contrast": [2.0]}
    >>> float(jitter(gray, factors, order=[0, 1])[0, 0, 0, 0])
    1.0
    >>> float(jitter(gray, {"contrast": [2.0]}, order=[0])[0, 0, 0, 0])
    0.5
    """
    order = ops.convert_to_tensor(order, "int32")

    def adjust(position, images):
        branches = [
            functools.partial(_ADJUSTMENTS[flavour][name][0], images, factor)
            for name, factor in factors.items()
        ]
        return position + 1, ops.switch(order[position], branches)

    # A loop: XLA takes minutes to compile four conditionals in a row.
    images = ops.convert_to_tensor(images)
    return ops.while_loop(
        lambda position, _: position < len(factors), adjust, (0, images)
    )[1]
