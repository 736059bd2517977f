import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from clel_tf.layers.random_image_layer import FLAVOURS
from clel_tf.layers.resized_crop import resampling_matrix
from clel_tf.layers.resized_crop import resized_crop


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


# The margin is the distance of the first output pixel's centre from the box's
# edge, in pixels: half of a pixel of the box or of the output.
@pytest.mark.parametrize(
    "flavour,margin",
    (("reference", lambda side: 0.5), ("torchvision", lambda side: side / 16)),
)
def test_fractional_bilinear_matches_scipy(flavour, margin):
    images = _images(1, 8, 8, 1)
    top, left, height, width = box = (0.7, 1.4, 5.9, 6.25)
    lines = [
        start - 0.5 + np.linspace(margin(side), side - margin(side), 8)
        for start, side in ((top, height), (left, width))
    ]
    grid = np.meshgrid(*lines, indexing="ij")
    expected = ndimage.map_coordinates(
        images[0, :, :, 0].astype(np.float64), grid, order=1
    )
    result = resized_crop(images, tf.constant([box]), "bilinear", flavour)
    np.testing.assert_allclose(result[0, :, :, 0], expected, atol=2e-6)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("interpolation", ("bicubic", "bilinear"))
def test_the_whole_image_is_exactly_itself(interpolation, flavour):
    images = _images(2, 32, 7)
    boxes = tf.constant([[0.0, 0.0, 32.0, 7.0]] * 2)
    result = resized_crop(images, boxes, interpolation, flavour)
    np.testing.assert_array_equal(result, images)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("size", (1, 2, 32))
def test_rows_of_the_matrix_sum_to_one_within_the_segment(size, flavour):
    length = tf.minimum(tf.constant([1.0, 1.6, 20.3]), float(size))
    start = tf.minimum(tf.constant([0.0, 0.3, 11.5]), size - length)
    matrix = resampling_matrix(start, length, size, flavour=flavour).numpy()
    np.testing.assert_allclose(matrix.sum(-1), 1.0, atol=1e-6)
    index = np.arange(size)
    first = np.floor(start)[:, None]
    last = np.ceil(start + length - 1)[:, None]
    outside = (index < first) | (index > last)
    used = np.any(matrix != 0, axis=1)
    assert not np.any(used & outside)
