import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from clel_tf import random
from clel_tf.layers import color_adjustments
from clel_tf.layers.random_color_jitter import RandomColorJitter
from clel_tf.layers.random_color_jitter import jitter

_NAMES = ("brightness", "contrast", "saturation", "hue")
_OFF = dict.fromkeys(_NAMES, 0.0)


def _images(batch=3, channels=3):
    shape = (batch, 4, 4, channels)
    return np.random.default_rng(0).random(shape, np.float32)


@pytest.mark.parametrize("compiled", (False, True))
def test_adjustments_are_applied_in_the_given_order(compiled):
    values = np.float32([[0.3, -0.2, 0], [1.4, 0.7, 1], [0.6, 1.3, 1]])
    values = np.append(values, np.float32([[0.1, -0.07, 0]]), axis=0)
    factors = dict(zip(_NAMES, values, strict=True))
    apply = tf.function(jitter, jit_compile=compiled)
    for order in itertools.permutations(range(4)):
        expected = _images()
        for position in order:
            name = _NAMES[position]
            adjust = getattr(color_adjustments, f"adjust_{name}")
            expected = adjust(expected, factors[name])
        result = apply(_images(), factors, tf.constant(order))
        np.testing.assert_allclose(result, expected, atol=1e-5)


def _apply(images, key, **strengths):
    layer = RandomColorJitter(**{**_OFF, **strengths}, probability=1.0)
    return layer(images, seed=key).numpy()


def test_a_batch_has_one_order_and_both_orders_occur():
    images = np.full((64, 1, 1, 1), 0.5, np.float32)
    firsts = []
    for seed in range(12):
        key = random.as_key(seed)
        shift = _apply(images, key, brightness=0.1) - 0.5
        factor = _apply(images, key, contrast=0.2) / 0.5
        both = _apply(images, key, brightness=0.1, contrast=0.2)
        brightness_first = np.allclose(both, (0.5 + shift) * factor, atol=1e-6)
        contrast_first = np.allclose(both, 0.5 * factor + shift, atol=1e-6)
        assert brightness_first != contrast_first
        firsts.append(brightness_first)
    assert 0 < sum(firsts) < 12


@pytest.mark.parametrize("name,centre", (("brightness", 0), ("contrast", 1)))
def test_factors_are_uniform_and_apply_with_the_probability(name, centre):
    images = np.full((4000, 1, 1, 1), 0.5, np.float32)
    layer = RandomColorJitter(**{**_OFF, name: 0.4})
    result = layer(images, seed=random.as_key(2)).numpy().ravel()
    factor = result - 0.5 if name == "brightness" else result / 0.5
    changed = factor[result != 0.5]
    assert abs(len(changed) / 4000 - 0.8) < 0.025
    uniform = (changed - centre) / 0.8 + 0.5
    assert stats.kstest(uniform, "uniform").pvalue > 1e-3


def test_hue_turns_by_at_most_its_strength():
    red = np.zeros((2000, 1, 1, 3), np.float32)
    red[..., 0] = 1.0
    red, green, blue = _apply(red, random.as_key(0), hue=0.1)[:, 0, 0].T
    np.testing.assert_array_equal(red, 1.0)
    turn = (green - blue) / 6
    assert np.all(np.minimum(green, blue) < 1e-6)
    assert stats.kstest(turn / 0.2 + 0.5, "uniform").pvalue > 1e-3


def test_gray_images_have_neither_saturation_nor_hue():
    images, key = _images(channels=1), random.as_key(0)
    plain = _apply(images, key, contrast=0.4)
    coloured = _apply(images, key, contrast=0.4, saturation=0.4, hue=0.1)
    np.testing.assert_array_equal(plain, coloured)
    np.testing.assert_array_equal(_apply(images, key, hue=0.1), images)


def test_probability_zero_changes_nothing():
    layer = RandomColorJitter(probability=0.0)
    result = layer(_images(), seed=random.as_key(0))
    np.testing.assert_array_equal(result, _images())
    assert not layer.changes_images


def test_an_unknown_flavour_is_refused():
    with pytest.raises(ValueError, match="Expected flavour.*received: 'other'"):
        RandomColorJitter(flavour="other")


def test_config_round_trip():
    kinds = {"probability": 0.5, "flavour": "torchvision", "seed": 6}
    layer = RandomColorJitter(0.1, 0.2, 0.3, 0.4, **kinds)
    config = keras.saving.serialize_keras_object(layer)
    twin = keras.saving.deserialize_keras_object(config)
    assert twin.get_config() == layer.get_config()
    np.testing.assert_array_equal(twin(_images()), layer(_images()))


@pytest.mark.parametrize(
    "name,value",
    list(zip((*_NAMES, "probability"), (-1, 2, 1.1, 0.6, 1.5), strict=True)),
)
def test_wrong_arguments_are_refused(name, value):
    with pytest.raises(ValueError, match=f"Expected {name}.*: {value}"):
        RandomColorJitter(**{name: value})
