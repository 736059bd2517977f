"""Adjustments of colour with one factor per image.

The functions `adjust_...` are kornia 0.6's: brightness is added, contrast
scales towards black and not towards a mean, saturation and hue are those of
HSV. The others are torchvision's, which blends with means and grays instead.

Reference:
    [Smith: Color Gamut Transform Pairs, SIGGRAPH 1978](
    https://doi.org/10.1145/800248.807361), which introduced HSV.
"""

from keras import ops

from clel_tf.layers.random_grayscale import grayscale
from clel_tf.layers.random_image_layer import per_image


def adjust_brightness(images, shift):
    """Adds `shift` (`[B]`) to images and clips them to [0, 1]."""
    return ops.clip(images + per_image(shift), 0.0, 1.0)


def adjust_contrast(images, factor):
    """Multiplies images by `factor` (`[B]`) and clips them to [0, 1].

    torchvision calls this brightness.
    """
    return ops.clip(images * per_image(factor), 0.0, 1.0)


def adjust_saturation(images, factor):
    """Multiplies the saturation of HSV by a factor, at most to full saturation.

    At fixed hue and value the distance of a channel from the value V = max(RGB)
    is proportional to the saturation S, so no hue has to be computed:

        out = V - (V - x) min(factor, 1 / S),    S = (V - min(RGB)) / V

    Args:
        images: float32 tensor `[B, H, W, 3]`.
        factor: float32 tensor `[B]`, not negative.

    Returns:
        float32 tensor `[B, H, W, 3]`.
    """
    value, chroma = _value_and_chroma(images)
    # Values below 0, which bicubic crops may have, turn gray.
    most = ops.maximum(value, 0.0) / _nonzero(chroma)
    factor = ops.where(chroma > 0.0, ops.minimum(per_image(factor), most), 1.0)
    return value - (value - images) * factor


def adjust_hue(images, shift):
    """Turns the hue of HSV.

    With hue H in sixths of a turn, value V and chroma M = V - min(RGB), channel
    n = 5, 3, 1 (red, green, blue) is

        V - M clip(min(k, 4 - k), 0, 1),    k = (n + H + 6 shift) mod 6

    Args:
        images: float32 tensor `[B, H, W, 3]`.
        shift: float32 tensor `[B]`, in turns.

    Returns:
        float32 tensor `[B, H, W, 3]`.
    """
    value, chroma = _value_and_chroma(images)
    hue = _hue(images, value, chroma) + 6.0 * per_image(shift)
    k = ops.mod(hue + ops.array([5.0, 3.0, 1.0]), 6.0)
    return value - chroma * ops.clip(ops.minimum(k, 4.0 - k), 0.0, 1.0)


def blend_with_mean(images, factor):
    """Blends images with the mean of their gray, and clips them to [0, 1].

        out = factor x + (1 - factor) mean(gray(x))

    Args:
        images: float32 tensor `[B, H, W, C]`, C 1 or 3.
        factor: float32 tensor `[B]`, not negative.

    Returns:
        float32 tensor `[B, H, W, C]`.
    """
    gray = images if images.shape[-1] == 1 else grayscale(images)
    return _blend(images, ops.mean(gray, axis=(1, 2, 3), keepdims=True), factor)


def blend_with_gray(images, factor):
    """Blends RGB images with their gray, and clips them to [0, 1].

        out = factor x + (1 - factor) gray(x)

    Args:
        images: float32 tensor `[B, H, W, 3]`.
        factor: float32 tensor `[B]`, not negative.

    Returns:
        float32 tensor `[B, H, W, 3]`.
    """
    return _blend(images, grayscale(images), factor)


def adjust_hue_and_clip(images, shift):
    """Turns the hue as `adjust_hue` does, and clips images to [0, 1]."""
    return ops.clip(adjust_hue(images, shift), 0.0, 1.0)


def _blend(images, others, factor):
    factor = per_image(factor)
    return ops.clip(factor * images + (1.0 - factor) * others, 0.0, 1.0)


def _value_and_chroma(images):
    value = ops.max(images, axis=-1, keepdims=True)
    return value, value - ops.min(images, axis=-1, keepdims=True)


def _hue(images, value, chroma):
    red, green, blue = ops.split(images, 3, axis=-1)
    chroma = _nonzero(chroma)
    from_green = 2.0 + (blue - red) / chroma
    from_blue = 4.0 + (red - green) / chroma
    hue = ops.where(green == value, from_green, from_blue)
    return ops.where(red == value, (green - blue) / chroma, hue)


def _nonzero(chroma):
    return ops.where(chroma > 0.0, chroma, 1.0)
