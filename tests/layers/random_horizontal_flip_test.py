import keras
import numpy as np
import pytest

from clel_tf import random
from clel_tf.layers.random_horizontal_flip import RandomHorizontalFlip


def _images(batch=2000):
    return np.random.default_rng(0).random((batch, 2, 3, 1), np.float32)


@pytest.mark.parametrize("probability", (0.0, 0.5, 0.9, 1.0))
def test_images_are_mirrored_or_left_with_the_probability(probability):
    images = _images()
    layer = RandomHorizontalFlip(probability=probability)
    result = layer(images, seed=random.as_key(0)).numpy()
    mirrored = np.all(result == images[:, :, ::-1], axis=(1, 2, 3))
    same = np.all(result == images, axis=(1, 2, 3))
    assert np.all(mirrored ^ same)
    assert abs(mirrored.mean() - probability) <= 0.04
    assert probability not in (0, 1) or mirrored.mean() == probability


def test_config_round_trip():
    layer = RandomHorizontalFlip(probability=0.3, seed=4)
    config = keras.saving.serialize_keras_object(layer)
    twin = keras.saving.deserialize_keras_object(config)
    assert (twin.probability, twin.seed) == (0.3, 4)
    np.testing.assert_array_equal(twin(_images(50)), layer(_images(50)))


def test_wrong_probability_is_refused():
    with pytest.raises(ValueError, match="Expected probability.*: 2"):
        RandomHorizontalFlip(probability=2)
