import keras
import numpy as np
import pytest
import tensorflow as tf

from clel_tf import random
from clel_tf.layers.random_color_jitter import RandomColorJitter
from clel_tf.layers.random_grayscale import RandomGrayscale
from clel_tf.layers.random_horizontal_flip import RandomHorizontalFlip
from clel_tf.layers.random_image_layer import FLAVOURS
from clel_tf.layers.random_resized_crop import RandomResizedCrop
from clel_tf.layers.simclr_augmentation import SimCLRAugmentation

_LAYERS = (
    RandomColorJitter,
    RandomGrayscale,
    RandomHorizontalFlip,
    RandomResizedCrop,
    SimCLRAugmentation,
)
_KEY = random.as_key(5)


def _images(batch=16, channels=3):
    shape = (batch, 6, 8, channels)
    return np.random.default_rng(0).random(shape, np.float32)


@pytest.mark.parametrize("layer_class", _LAYERS)
def test_same_key_gives_the_same_images_and_others_differ(layer_class):
    layer, images = layer_class(), _images()
    first = layer(images, seed=_KEY).numpy()
    assert first.shape == images.shape and first.dtype == np.float32
    np.testing.assert_array_equal(first, layer(images, seed=_KEY))
    assert np.any(first != layer(images, seed=random.as_key(6)))
    assert np.any(first != images)


@pytest.mark.parametrize("layer_class", _LAYERS)
def test_without_a_key_draws_follow_the_layers_seed(layer_class):
    images, layer, twin = _images(), layer_class(seed=3), layer_class(seed=3)
    first, second = layer(images).numpy(), layer(images).numpy()
    assert np.any(first != second)
    np.testing.assert_array_equal(first, twin(images))
    np.testing.assert_array_equal(second, twin(images))
    assert np.any(first != layer_class(seed=4)(images))


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("channels", (1, 3))
def test_graph_of_any_batch_size_matches_eager(channels, flavour):
    layer = SimCLRAugmentation(flavour=flavour)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 6, 8, channels]),
            tf.TensorSpec([], tf.uint64),
        ]
    )
    def apply(images, key):
        return layer(images, seed=key)

    for batch in (1, 5):
        images = _images(batch, channels)
        eager = layer(images, seed=_KEY)
        np.testing.assert_allclose(apply(images, _KEY), eager, atol=1e-5)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("integer_boxes", (True, False))
def test_xla_matches_eager(integer_boxes, flavour):
    layer = SimCLRAugmentation(integer_boxes=integer_boxes, flavour=flavour)
    images = tf.constant(_images())
    compiled = tf.function(layer, jit_compile=True)
    eager = layer(images, seed=_KEY)
    np.testing.assert_allclose(compiled(images, _KEY), eager, atol=1e-5)


@pytest.mark.parametrize("layer_class", _LAYERS)
def test_an_image_is_changed_alike_alone_and_among_others(layer_class):
    layer, images = layer_class(), _images()
    alone = layer(images[:1], seed=_KEY)
    np.testing.assert_allclose(alone, layer(images, seed=_KEY)[:1], atol=1e-6)


@pytest.mark.parametrize("layer_class", _LAYERS)
def test_works_in_a_functional_model(layer_class):
    inputs = keras.Input((6, 8, 3))
    outputs = layer_class(seed=3)(inputs)
    assert outputs.shape == (None, 6, 8, 3)
    model = keras.Model(inputs, outputs)
    np.testing.assert_allclose(
        model(_images()), layer_class(seed=3)(_images()), atol=1e-6
    )


@pytest.mark.parametrize("layer_class", _LAYERS)
def test_pixels_stay_float32_under_a_mixed_policy(layer_class):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layer = layer_class()
    finally:
        keras.config.set_dtype_policy(before)
    result = layer(_images(), seed=_KEY)
    np.testing.assert_array_equal(result, layer_class()(_images(), seed=_KEY))


@pytest.mark.parametrize("layer_class", _LAYERS)
def test_wrong_images_are_refused(layer_class):
    layer = layer_class()
    with pytest.raises(ValueError, match=r"received: shape \(2, 4, 4, 2\)"):
        layer(tf.zeros([2, 4, 4, 2]))
    with pytest.raises(ValueError, match=r"received: shape \(4, 4, 3\)"):
        layer(tf.zeros([4, 4, 3]))
    with pytest.raises(TypeError, match="received: dtype uint8"):
        layer(tf.zeros([2, 4, 4, 3], tf.uint8))


def test_wrong_keys_are_refused():
    layer, images = RandomGrayscale(), _images()
    with pytest.raises(TypeError, match="uint64 key.*received: 3"):
        layer(images, seed=3)
    with pytest.raises(ValueError, match=r"scalar key; received: shape \(16,"):
        layer(images, seed=random.as_key(tf.range(16)))
