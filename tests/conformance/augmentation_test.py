import colorsys
import itertools

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy import stats

from clel_tf import random
from clel_tf.layers import RandomColorJitter
from clel_tf.layers import RandomGrayscale
from clel_tf.layers import RandomHorizontalFlip
from clel_tf.layers.random_color_jitter import jitter
from clel_tf.layers.random_color_jitter import random_order
from clel_tf.layers.random_grayscale import grayscale
from clel_tf.layers.random_image_layer import FLAVOURS
from clel_tf.layers.random_resized_crop import random_boxes
from clel_tf.layers.resized_crop import resized_crop

_NAMES = ("brightness", "contrast", "saturation", "hue")
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
_SCALE, _RATIO = (0.08, 1.0), (3 / 4, 4 / 3)
_DRAWS = 20_000
_SIGNIFICANCE = 1e-3

_NEEDS_TORCH = "crops are compared with PyTorch's: pip install 'clel_tf[torch]'"


def _images(*shape):
    return np.random.default_rng(0).random(shape, np.float32)


def _boxes_of_many_sizes(height, width):
    rng = np.random.default_rng(0)
    sides = [(1, 1), (height, width), (1, width), (height, 2)]
    sides += list(rng.integers(1, (height + 1, width + 1), (20, 2)))
    return [
        (rng.integers(height - h + 1), rng.integers(width - w + 1), h, w)
        for h, w in sides
    ]


def _cut_outs(images, boxes):
    for image, (top, left, height, width) in zip(images, boxes, strict=True):
        yield image[top : top + height, left : left + width]


def _by_pytorch(images, boxes, interpolation, options):
    torch = pytest.importorskip("torch", reason=_NEEDS_TORCH)
    for cut_out in _cut_outs(images, boxes):
        cut_out = torch.from_numpy(cut_out.transpose(2, 0, 1).copy())[None]
        resized = torch.nn.functional.interpolate(
            cut_out, images.shape[1:3], mode=interpolation, **options
        )
        yield resized[0].numpy().transpose(1, 2, 0)


# Antialiasing widens the filter of images that shrink, which no crop does: it
# changes bicubic's kernel and border, and nothing of bilinear.
@pytest.mark.parametrize("height,width", ((32, 32), (9, 12)))
@pytest.mark.parametrize(
    "flavour,interpolation,options",
    (
        ("reference", "bicubic", {"align_corners": True}),
        ("reference", "bilinear", {"align_corners": True}),
        ("torchvision", "bicubic", {"antialias": True}),
        ("torchvision", "bilinear", {"antialias": True}),
        ("torchvision", "bilinear", {"antialias": False}),
    ),
)
def test_crops_match_pytorchs(height, width, flavour, interpolation, options):
    boxes = _boxes_of_many_sizes(height, width)
    images = _images(len(boxes), height, width, 3)
    expected = list(_by_pytorch(images, boxes, interpolation, options))
    boxes = tf.constant(boxes, tf.float32)
    result = resized_crop(images, boxes, interpolation, flavour)
    np.testing.assert_allclose(result, expected, atol=1e-5)


@pytest.mark.parametrize("interpolation", ("bicubic", "bilinear"))
def test_crops_match_pillows(interpolation):
    boxes = _boxes_of_many_sizes(9, 12)
    images = _images(len(boxes), 9, 12, 1)
    kernel = Image.Resampling[interpolation.upper()]
    # Float images: of bytes Pillow rounds and clips twice, between its passes.
    expected = [
        Image.fromarray(cut_out[..., 0]).resize((12, 9), kernel)
        for cut_out in _cut_outs(images, boxes)
    ]
    boxes = tf.constant(boxes, tf.float32)
    result = resized_crop(images, boxes, interpolation, "torchvision")
    np.testing.assert_allclose(result[..., 0], expected, atol=1e-5)


def _in_hsv(image, change):
    pixels = [change(*colorsys.rgb_to_hsv(*p)) for p in image.reshape(-1, 3)]
    pixels = [colorsys.hsv_to_rgb(*pixel) for pixel in pixels]
    return np.reshape(pixels, image.shape)


def _blend(image, other, factor):
    return np.clip(factor * image + (1 - factor) * other, 0, 1)


def _gray(image):
    return (image @ _LUMA)[..., None]


def _turn(image, d):
    return _in_hsv(image, lambda h, s, v: ((h + d) % 1, s, v))


# The published formulas of one image, float64; `f` is the factor, `d` the shift
# that RandomColorJitter's documentation names.
_FORMULAS = {
    "reference": (
        lambda x, d: np.clip(x + d, 0, 1),
        lambda x, f: np.clip(x * f, 0, 1),
        lambda x, f: _in_hsv(x, lambda h, s, v: (h, min(s * f, 1), v)),
        _turn,
    ),
    "torchvision": (
        lambda x, f: _blend(x, 0, f),
        lambda x, f: _blend(x, _gray(x).mean(), f),
        lambda x, f: _blend(x, _gray(x), f),
        _turn,
    ),
}


def _factors(flavour, count):
    centres = [float(flavour == "torchvision"), 1.0, 1.0, 0.0]
    strengths = [0.4, 0.4, 0.4, 0.1]
    draws = np.random.default_rng(1).uniform(-1, 1, (count, 4))
    return np.float32(np.add(centres, np.multiply(strengths, draws)).T)


# 1e-5 in spite of HSV's divisions by small chromas: the hue's error is
# multiplied by the chroma again.
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_jitter_matches_the_formulas_in_every_order(flavour):
    images, factors = _images(3, 5, 4, 3), _factors(flavour, 3)
    images[0, 0] = [[0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.5], [1, 1, 0]]
    named = dict(zip(_NAMES, factors, strict=True))
    for order in itertools.permutations(range(4)):
        expected = list(np.float64(images))
        for which, i in itertools.product(order, range(3)):
            formula = _FORMULAS[flavour][which]
            expected[i] = formula(expected[i], float(factors[which, i]))
        result = jitter(images, named, order, flavour)
        np.testing.assert_allclose(result, expected, atol=1e-5)


def test_torchvisions_contrast_of_one_channel_blends_with_its_mean():
    images, factor = _images(3, 5, 4, 1), np.float32([0.6, 1.0, 1.4])
    mean = images.mean(axis=(1, 2, 3), keepdims=True)
    expected = _blend(images, mean, factor[:, None, None, None])
    result = jitter(images, {"contrast": factor}, [0], "torchvision")
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_gray_matches_pillows():
    images = np.round(_images(1, 16, 16, 3) * 255).astype(np.uint8)
    expected = np.asarray(Image.fromarray(images[0]).convert("L"))
    result = grayscale(images.astype(np.float32))[0, ..., 0]
    assert np.abs(result - expected).max() <= 0.5 + 1e-3


def _boxes_by_rejection(size, whole, longest):
    rng = np.random.default_rng(0)
    area = rng.uniform(*_SCALE, 4 * _DRAWS) * size[0] * size[1]
    ratio = np.exp(rng.uniform(*np.log(_RATIO), area.shape))
    sides = np.sqrt([area / ratio, area * ratio])
    sides = np.round(sides) if whole else sides
    fits = np.all(sides.T <= longest, axis=1)
    sides = sides[:, fits][:, :_DRAWS]
    room = np.reshape(size, (2, 1)) - sides
    if whole:
        return np.concatenate([rng.integers(room.astype(int) + 1), sides])
    return np.concatenate([room * rng.random(room.shape), sides])


@pytest.mark.parametrize("size", ((32, 32), (24, 40)))
@pytest.mark.parametrize(
    "flavour,whole,shorter",
    (
        ("reference", True, 1),
        ("reference", False, 0),
        ("torchvision", True, 0),
        ("torchvision", False, 0),
    ),
)
def test_boxes_are_those_of_a_rejection_sampler(size, flavour, whole, shorter):
    keys, longest = random.as_key(tf.range(_DRAWS)), np.subtract(size, shorter)
    boxes = random_boxes(keys, size, _SCALE, _RATIO, whole, flavour).numpy().T
    others = _boxes_by_rejection(size, whole, longest)
    for ours, theirs in zip(_figures(boxes), _figures(others), strict=True):
        assert stats.ks_2samp(ours, theirs).pvalue > _SIGNIFICANCE


def _figures(boxes):
    top, left, height, width = boxes.astype(np.float64)
    return height * width, width / height, top, left, top + height, left + width


# One pixel of known chroma: every factor scales it, and no result is clipped.
_PIXEL = np.float32([0.6, 0.55, 0.5])


def _scale_of_chroma(pixels):
    return (pixels[:, 0] - pixels[:, 2]) / (_PIXEL[0] - _PIXEL[2])


def _turns(pixels):
    hues = np.array([colorsys.rgb_to_hsv(*pixel)[0] for pixel in pixels])
    return hues - colorsys.rgb_to_hsv(*_PIXEL)[0]


@pytest.mark.parametrize(
    "flavour,name,centre,factor",
    (
        ("reference", "brightness", 0, lambda pixels: (pixels - _PIXEL)[:, 0]),
        ("torchvision", "brightness", 1, _scale_of_chroma),
        *((flavour, "contrast", 1, _scale_of_chroma) for flavour in FLAVOURS),
        *((flavour, "saturation", 1, _scale_of_chroma) for flavour in FLAVOURS),
        *((flavour, "hue", 0, _turns) for flavour in FLAVOURS),
    ),
)
def test_factors_are_uniform_in_eight_of_ten_images(
    flavour, name, centre, factor
):
    strengths = {**dict.fromkeys(_NAMES, 0.0), name: 0.08}
    images = np.tile(_PIXEL, (_DRAWS, 1, 1, 1))
    layer = RandomColorJitter(**strengths, flavour=flavour)
    pixels = layer(images, seed=random.as_key(0)).numpy()[:, 0, 0]
    pixels = pixels[np.any(pixels != _PIXEL, axis=1)]
    _assert_share(len(pixels), 0.8)
    uniform = (factor(pixels) - centre) / 0.16 + 0.5
    assert -1e-4 < uniform.min() < 1e-3 and 0.999 < uniform.max() < 1.0001
    assert stats.kstest(uniform, "uniform").pvalue > _SIGNIFICANCE


def _assert_share(count, probability):
    test = stats.binomtest(int(count), _DRAWS, probability)
    assert test.pvalue > _SIGNIFICANCE


@pytest.mark.parametrize(
    "layer_class,probability",
    ((RandomGrayscale, 0.2), (RandomHorizontalFlip, 0.5)),
)
def test_share_of_images_that_are_changed(layer_class, probability):
    images = _images(_DRAWS, 1, 2, 3)
    result = layer_class()(images, seed=random.as_key(0)).numpy()
    _assert_share(np.any(result != images, axis=(1, 2, 3)).sum(), probability)


def test_orders_are_uniform_over_the_permutations():
    orders = random_order(random.as_key(tf.range(_DRAWS)), 4)
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > _SIGNIFICANCE
