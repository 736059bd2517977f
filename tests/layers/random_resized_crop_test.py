import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from clel_tf import random
from clel_tf.layers.random_image_layer import FLAVOURS
from clel_tf.layers.random_image_layer import row_keys
from clel_tf.layers.random_resized_crop import RandomResizedCrop
from clel_tf.layers.random_resized_crop import random_boxes
from clel_tf.layers.resized_crop import resized_crop

_KEYS = random.as_key(tf.range(4000))


def _images(batch, height, width, channels=3):
    shape = (batch, height, width, channels)
    return np.random.default_rng(0).random(shape, np.float32)


def _draw(size=(32, 32), scale=(0.1, 0.5), ratio=(3 / 4, 4 / 3), **kwargs):
    return random_boxes(_KEYS, size, scale, ratio, **kwargs).numpy()


def test_area_ratio_and_place_have_their_distributions():
    boxes = _draw(ratio=(0.5, 1.5), integer_boxes=False)
    top, left, height, width = boxes.T
    area = (height * width / 32**2 - 0.1) / 0.4
    log_ratio = np.log(width / height / 0.5) / np.log(3)
    places = (top / (32 - height), left / (32 - width))
    for uniform in (area, log_ratio, *places):
        assert stats.kstest(uniform, "uniform").pvalue > 1e-3
    samples = np.stack([area, log_ratio, *places])
    correlation = np.corrcoef(samples)[~np.eye(4, dtype=bool)]
    assert np.abs(correlation).max() < 0.07


def test_integer_boxes_are_whole_pixels_anywhere_in_the_image():
    boxes = _draw((8, 8), scale=(0.05, 1.0))
    np.testing.assert_array_equal(boxes, np.round(boxes))
    top, left, height, width = boxes.T
    assert min(top.min(), left.min()) == 0
    assert min(height.min(), width.min()) >= 1
    assert (top + height).max() == 8 and (left + width).max() == 8
    counts = np.bincount(top[height == 6].astype(int), minlength=3)
    assert len(counts) == 3
    assert stats.chisquare(counts).pvalue > 1e-3


def test_boxes_that_do_not_fit_are_drawn_again():
    _, _, height, width = _draw(scale=(0.08, 1.0), integer_boxes=False).T
    assert np.all(np.maximum(height, width) <= 32)
    # Clamping the sides instead would leave 14% of the boxes at full length.
    assert np.mean(np.maximum(height, width) > 31.999) < 0.01


@pytest.mark.parametrize(
    "flavour,ratio,sides",
    (
        ("reference", (3 / 4, 4 / 3), (24, 32)),
        ("reference", (1.5, 2.0), (16, 32)),
        ("reference", (0.25, 0.5), (32, 16)),
        ("torchvision", (3 / 4, 4 / 3), (32, 32)),
        ("torchvision", (1.5, 2.0), (21, 32)),
        ("torchvision", (0.25, 0.5), (32, 16)),
    ),
)
def test_a_box_that_fits_is_taken_after_ten_that_do_not(flavour, ratio, sides):
    boxes = _draw(scale=(1.0, 1.0), ratio=ratio, flavour=flavour)
    np.testing.assert_array_equal(np.unique(boxes[:, 2:], axis=0), [sides])


@pytest.mark.parametrize(
    "flavour,longest", (("reference", 7), ("torchvision", 8))
)
def test_the_flavour_decides_how_long_integer_boxes_are(flavour, longest):
    _, _, height, width = _draw((8, 8), scale=(0.08, 1.0), flavour=flavour).T
    assert height.max() == width.max() == longest


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_flavour_decides_boxes_and_resampling(flavour):
    images, key = _images(16, 8, 8), random.as_key(0)
    keys = row_keys(images, key)
    boxes = random_boxes(
        keys, (8, 8), (0.08, 1.0), (3 / 4, 4 / 3), flavour=flavour
    )
    expected = resized_crop(images, boxes, flavour=flavour)
    result = RandomResizedCrop(flavour=flavour)(images, seed=key)
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("integer_boxes", (True, False))
def test_full_scale_and_unit_ratio_is_the_identity(integer_boxes):
    images = _images(3, 7, 7)
    crop = RandomResizedCrop((1, 1), (1, 1), integer_boxes=integer_boxes)
    result = crop(images, seed=random.as_key(0))
    np.testing.assert_allclose(result, images, atol=1e-5)


def test_clip_cuts_the_overshoots_and_nothing_else():
    images, key = np.round(_images(8, 8, 8)), random.as_key(0)
    raw = RandomResizedCrop(scale=(0.2, 0.5))(images, seed=key).numpy()
    assert raw.min() < -0.05 and raw.max() > 1.05
    clipped = RandomResizedCrop(scale=(0.2, 0.5), clip=True)(images, seed=key)
    np.testing.assert_array_equal(clipped, np.clip(raw, 0, 1))


def test_config_round_trip():
    kinds = ("bilinear", False, True, "torchvision")
    layer = RandomResizedCrop((0.3, 0.9), (0.5, 2), *kinds, seed=7)
    config = keras.saving.serialize_keras_object(layer)
    twin = keras.saving.deserialize_keras_object(config)
    assert twin.get_config() == layer.get_config()
    images = _images(4, 8, 8)
    np.testing.assert_array_equal(twin(images), layer(images))


@pytest.mark.parametrize(
    "kwargs",
    (
        {"scale": (0.0, 1.0)},
        {"scale": (0.5, 1.1)},
        {"scale": (0.9, 0.5)},
        {"scale": (0.5,)},
        {"ratio": (-1.0, 1.0)},
        {"ratio": (2.0, 1.0)},
        {"interpolation": "nearest"},
        {"flavour": "kornia"},
    ),
)
def test_wrong_arguments_are_refused(kwargs):
    (name,) = kwargs
    with pytest.raises(ValueError, match=f"Expected {name}.*received: "):
        RandomResizedCrop(**kwargs)
