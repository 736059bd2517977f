import keras
import numpy as np
import pytest
import tensorflow as tf

from clel_tf.layers import LeakyReLU

X = np.array([-3.0, -1e-30, -0.0, 0.0, 1e-30, 0.5, 2.0], "float32")


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("slope", [0.2, 1.0, 1.5])
def test_outputs_and_gradients_are_those_of_keras(slope, dtype):
    ours, theirs = (
        layer(negative_slope=slope, dtype=dtype)
        for layer in (LeakyReLU, keras.layers.LeakyReLU)
    )
    x = tf.constant(X)
    results = []
    for layer in (ours, theirs):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        results.append((y, tape.gradient(y, x, tf.ones_like(y) * 3)))
    for actual, expected in zip(*results):
        assert actual.dtype == expected.dtype
        np.testing.assert_array_equal(
            tf.cast(actual, tf.float32), tf.cast(expected, tf.float32)
        )


def test_differentiates_twice():
    x = tf.constant([-2.0, 3.0])
    layer = LeakyReLU(0.5)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = tf.reduce_sum(layer(x) ** 2)
        gradient = inner.gradient(y, x)  # 2 slope**2 x
    np.testing.assert_allclose(outer.gradient(gradient, x), [0.5, 2.0])


def test_keeps_its_output_instead_of_its_input():
    layer = LeakyReLU(0.2)

    @tf.function
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        return tape.gradient(y, x)

    graph = gradient.get_concrete_function(tf.TensorSpec([3])).graph
    (operation,) = [
        op for op in graph.get_operations() if op.type == "LeakyReluGrad"
    ]
    source = operation.inputs[1].op
    while source.type in ("Identity", "IdentityN"):
        source = source.inputs[0].op
    assert source.type == "LeakyRelu"


def test_round_trips():
    layer = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(LeakyReLU(0.3, name="a"))
    )
    assert isinstance(layer, LeakyReLU)
    assert (layer.negative_slope, layer.name) == (0.3, "a")


@pytest.mark.parametrize("slope", [0.0, -0.1])
def test_refuses_slopes_whose_output_hides_the_sign(slope):
    with pytest.raises(ValueError, match="`negative_slope` .*received"):
        LeakyReLU(slope)
