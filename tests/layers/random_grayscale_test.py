import keras
import numpy as np
import pytest

from clel_tf import random
from clel_tf.layers.random_grayscale import RandomGrayscale

_KEY = random.as_key(0)


def _images(batch=4000, channels=3):
    shape = (batch, 1, 2, channels)
    return np.random.default_rng(0).random(shape, np.float32)


def test_images_are_left_or_turned_gray_with_the_probability():
    images = _images()
    red, green, blue = np.moveaxis(images.astype(np.float64), -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    result = RandomGrayscale()(images, seed=_KEY).numpy()
    gray = np.all(np.abs(result - luma[..., None]) < 1e-6, axis=(1, 2, 3))
    same = np.all(result == images, axis=(1, 2, 3))
    assert np.all(gray ^ same)
    assert abs(gray.mean() - 0.2) < 0.025


def test_gray_and_white_keep_their_values():
    images = np.repeat(_images(8, 1), 3, axis=-1)
    images[0] = 1.0
    result = RandomGrayscale(probability=1.0)(images, seed=_KEY)
    np.testing.assert_allclose(result, images, atol=1e-6)


def test_one_channel_passes_unchanged():
    images = _images(8, 1)
    result = RandomGrayscale(probability=1.0)(images, seed=_KEY)
    np.testing.assert_array_equal(result, images)


def test_config_round_trip():
    layer = RandomGrayscale(probability=0.3, seed=4)
    config = keras.saving.serialize_keras_object(layer)
    twin = keras.saving.deserialize_keras_object(config)
    assert (twin.probability, twin.seed) == (0.3, 4)
    np.testing.assert_array_equal(twin(_images(50)), layer(_images(50)))


def test_wrong_probability_is_refused():
    with pytest.raises(ValueError, match="Expected probability.*: -0.1"):
        RandomGrayscale(probability=-0.1)
