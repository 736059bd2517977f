import numpy as np
import pytest

from clel_tf.data import ImageData
from clel_tf.data import StreamedImages
from clel_tf.data import interpolate

_RNG = np.random.default_rng(0)
_TRAIN = _RNG.integers(0, 256, [300, 5, 4, 3]).astype(np.uint8)
_TEST = _RNG.integers(0, 256, [101, 5, 4, 3]).astype(np.uint8)


def _expected(images):
    # NumPy rounds halves to even.
    pairs = np.stack([images[:-100], images[100:]]).astype(np.float64)
    return np.rint(pairs.mean(0))


def test_averages_images_100_apart_in_each_part():
    labels = np.zeros(300, np.int64)
    data = interpolate(ImageData("noise", _TRAIN, labels, _TEST))
    assert data.spec == "interpolate:noise"
    assert data.x_train.dtype == np.uint8
    np.testing.assert_array_equal(data.x_train, _expected(_TRAIN))
    np.testing.assert_array_equal(data.x_test, _expected(_TEST))
    assert data.y_train is data.y_test is data.class_names is None


def test_every_pair_of_bytes_is_rounded_to_even():
    first, second = np.meshgrid(np.arange(256), np.arange(256))
    images = np.zeros([101, 256, 256, 1], np.uint8)
    images[0, ..., 0], images[100, ..., 0] = first, second
    mean = interpolate(ImageData("pairs", images)).x_train[0, ..., 0]
    np.testing.assert_array_equal(mean, np.rint((first + second) / 2))


def test_keeps_levels_and_the_absence_of_a_test_part():
    data = interpolate(ImageData("dark", _TRAIN // 16, levels=17))
    assert (data.levels, data.x_test) == (17, None)


def test_streams_what_is_streamed():
    images = StreamedImages(lambda rows: _TRAIN[rows], _TRAIN.shape)
    data = interpolate(ImageData("noise", images))
    assert isinstance(data.x_train, StreamedImages)
    np.testing.assert_array_equal(data.x_train[:], _expected(_TRAIN))
    np.testing.assert_array_equal(data.x_train[-1], _expected(_TRAIN)[-1])


@pytest.mark.parametrize(
    "parts, match",
    [
        ({"x_train": _TRAIN[:100]}, "x_train of few; received: 100"),
        ({"x_train": _TRAIN, "x_test": _TEST[:9]}, "x_test of few; .* 9"),
    ],
)
def test_refuses_too_few_images(parts, match):
    with pytest.raises(ValueError, match=match):
        interpolate(ImageData("few", **parts))
