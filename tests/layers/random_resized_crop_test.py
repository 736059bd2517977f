import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage
from scipy import stats

from clel_tf import random
from clel_tf.layers.random_resized_crop import RandomResizedCrop
from clel_tf.layers.random_resized_crop import random_boxes
from clel_tf.layers.random_resized_crop import resampling_matrix
from clel_tf.layers.random_resized_crop import resized_crop

_KEYS = random.as_key(tf.range(4000))


def _images(batch, height, width, channels=3):
    shape = (batch, height, width, channels)
    return np.random.default_rng(0).random(shape, np.float32)


def _resize_line(line, size):
    # Keys' convolution, tap by tap, on a line that repeats its ends.
    padded = np.concatenate([line[:1]] * 2 + [line] + [line[-1:]] * 3)
    result = []
    for i in range(size):
        whole, t = divmod(i * (len(line) - 1), size - 1)
        t, a, total = t / (size - 1), -0.75, 0.0
        for k in (-1, 0, 1, 2):
            s = abs(t - k)
            outer = a * s**3 - 5 * a * s**2 + 8 * a * s - 4 * a
            inner = (a + 2) * s**3 - (a + 3) * s**2 + 1
            total += padded[2 + whole + k] * (inner if s <= 1 else outer)
        result.append(total)
    return np.stack(result)


def _cut_and_resize(image, box):
    top, left, height, width = box
    cut = image[top : top + height, left : left + width].astype(np.float64)
    tall = _resize_line(cut, image.shape[0])
    return _resize_line(tall.swapaxes(0, 1), image.shape[1]).swapaxes(0, 1)


def test_bicubic_matches_cutting_and_resizing():
    images = _images(5, 9, 12)
    boxes = [(2, 3, 4, 6), (0, 0, 1, 1), (8, 0, 1, 12), (0, 4, 9, 2)]
    boxes.append((3, 7, 6, 5))
    result = resized_crop(images, np.array(boxes, np.float32))
    for image, box, crop in zip(images, boxes, result, strict=True):
        np.testing.assert_allclose(crop, _cut_and_resize(image, box), atol=2e-6)


def test_fractional_bilinear_matches_scipy():
    images = _images(1, 8, 8, 1)
    top, left, height, width = box = (0.7, 1.4, 5.9, 6.25)
    grid = np.meshgrid(
        np.linspace(top, top + height - 1, 8),
        np.linspace(left, left + width - 1, 8),
        indexing="ij",
    )
    expected = ndimage.map_coordinates(
        images[0, :, :, 0].astype(np.float64), grid, order=1
    )
    result = resized_crop(images, tf.constant([box]), "bilinear")
    np.testing.assert_allclose(result[0, :, :, 0], expected, atol=2e-6)


@pytest.mark.parametrize("interpolation", ("bicubic", "bilinear"))
def test_the_whole_image_is_exactly_itself(interpolation):
    images = _images(2, 32, 7)
    boxes = tf.constant([[0.0, 0.0, 32.0, 7.0]] * 2)
    result = resized_crop(images, boxes, interpolation)
    np.testing.assert_array_equal(result, images)


@pytest.mark.parametrize("size", (1, 2, 32))
def test_rows_of_the_matrix_sum_to_one_within_the_segment(size):
    length = tf.minimum(tf.constant([1.0, 1.6, 20.3]), float(size))
    start = tf.minimum(tf.constant([0.0, 0.3, 11.5]), size - length)
    matrix = resampling_matrix(start, length, size).numpy()
    np.testing.assert_allclose(matrix.sum(-1), 1.0, atol=1e-6)
    index = np.arange(size)
    first = np.floor(start)[:, None]
    last = np.ceil(start + length - 1)[:, None]
    outside = (index < first) | (index > last)
    used = np.any(matrix != 0, axis=1)
    assert not np.any(used & outside)


def _draw(size=(32, 32), scale=(0.1, 0.5), ratio=(3 / 4, 4 / 3), **kwargs):
    return random_boxes(_KEYS, size, scale, ratio, **kwargs).numpy()


def test_area_ratio_and_place_have_their_distributions():
    top, left, height, width = _draw(integer_boxes=False).T
    area = (height * width / 32**2 - 0.1) / 0.4
    log_ratio = np.log(width / height) / np.log(4 / 3)
    places = (top / (32 - height), left / (32 - width))
    for uniform in (area, (log_ratio + 1) / 2, *places):
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
    "ratio,sides", (((1.5, 2.0), (21, 32)), ((0.25, 0.5), (32, 16)))
)
def test_the_largest_box_is_taken_when_none_fits(ratio, sides):
    boxes = _draw(scale=(1.0, 1.0), ratio=ratio)
    np.testing.assert_array_equal(np.unique(boxes[:, 2:], axis=0), [sides])


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
    layer = RandomResizedCrop((0.3, 0.9), (0.5, 2), "bilinear", False, True, 7)
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
    ),
)
def test_wrong_arguments_are_refused(kwargs):
    (name,) = kwargs
    with pytest.raises(ValueError, match=f"Expected {name}.*received: "):
        RandomResizedCrop(**kwargs)
