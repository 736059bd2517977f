import keras
import numpy as np
import pytest
import tensorflow as tf

from clel_tf.layers import BatchNormalization


def images(shape, seed=0):
    return np.random.default_rng(seed).normal(2.0, 3.0, shape).astype("float32")


@pytest.mark.parametrize("shape", [(4, 3), (2, 5, 3, 3)])
def test_running_statistics_are_unbiased(shape):
    layer = BatchNormalization()
    mean, variance = 0.0, 1.0
    for seed in range(5):
        x = images(shape, seed)
        axes = tuple(range(x.ndim - 1))
        layer(x, training=True)
        mean = 0.9 * mean + 0.1 * x.mean(axes)
        variance = 0.9 * variance + 0.1 * x.var(axes, ddof=1)
    np.testing.assert_allclose(layer.moving_mean, mean, rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, variance, rtol=1e-5)


def test_training_divides_by_the_batchs_own_variance():
    x = images((4, 3))
    expected = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)
    outputs = BatchNormalization()(x, training=True)
    np.testing.assert_allclose(outputs, expected, atol=1e-5)


def test_inference_and_frozen_layers_move_no_statistics():
    layer, x = BatchNormalization(), images((4, 3))
    layer(x, training=False)
    layer.trainable = False
    layer(x, training=True)
    np.testing.assert_array_equal(layer.moving_variance, np.ones(3))


def test_batches_of_unknown_size_and_of_one_value():
    layer = BatchNormalization(momentum=0.0)
    call = tf.function(
        lambda x: layer(x, training=True),
        input_signature=[tf.TensorSpec((None, 3))],
    )
    layer.build((None, 3))
    for n in (3, 7):
        x = images((n, 3))
        call(x)
        expected = x.var(0, ddof=1)
        np.testing.assert_allclose(layer.moving_variance, expected, rtol=1e-4)
    call(images((1, 3)))
    np.testing.assert_allclose(layer.moving_variance, np.zeros(3), atol=1e-6)


def test_mixed_precision_keeps_float32_statistics():
    x = images((64, 3))
    layer = BatchNormalization(momentum=0.0, dtype="mixed_bfloat16")
    assert layer(x, training=True).dtype == tf.bfloat16
    assert layer.moving_variance.dtype == "float32"
    expected = x.var(0, ddof=1)
    np.testing.assert_allclose(layer.moving_variance, expected, rtol=0.02)


def test_config_builds_an_equal_layer():
    layer = BatchNormalization(momentum=0.7, epsilon=1e-3, name="norm")
    copied = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(layer)
    )
    assert isinstance(copied, BatchNormalization)
    assert copied.get_config() == layer.get_config()


@pytest.mark.parametrize("name", ["renorm", "synchronized"])
def test_refuses_what_it_does_not_do(name):
    with pytest.raises(ValueError, match=f"`{name}` to be False"):
        BatchNormalization(**{name: True})


def test_refuses_a_mask():
    with pytest.raises(ValueError, match="without a mask"):
        BatchNormalization()(images((2, 4, 3)), mask=tf.ones((2, 4), tf.bool))
