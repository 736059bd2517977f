import keras
import numpy as np
import pytest
import tensorflow as tf

from clel_tf.models import EnergyResNet
from clel_tf.models import inference_function

X = np.random.default_rng(0).random((3, 8, 8, 1)).astype("float32")


def network(dtype, dense_stddev=0.3):
    return EnergyResNet(
        (8, 8, 1),
        widths=(8, 12),
        depths=(1, 1),
        head_width=16,
        dense_stddev=dense_stddev,
        seed=0,
        dtype=dtype,
    )


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_is_the_networks_inference(dtype):
    model = network(dtype)
    for actual, expected in zip(inference_function(model)(X), model(X)):
        assert actual.dtype == tf.float32
        np.testing.assert_array_equal(actual, expected)


def test_keeps_the_weights_of_its_making():
    model = network("float32")
    infer = inference_function(model)
    before = infer(X)[0].numpy()
    for layer in model.spectral_layers:
        layer.bias is None or layer.bias.assign(layer.bias + 1.0)
    np.testing.assert_array_equal(infer(X)[0], before)
    assert np.abs(model(X)[0].numpy() - before).max() > 1e-3


def test_other_layers_read_their_own_weights():
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3)(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Flatten()(x)
    inner = keras.Model(inputs, keras.layers.Dense(5)(x))
    outer = keras.Model(inputs, keras.layers.Dense(2)(inner(inputs)))
    np.testing.assert_array_equal(inference_function(outer)(X), outer(X))


def test_a_layer_may_assign_in_inference():
    @keras.saving.register_keras_serializable("clel_tf_tests")
    class Counting(keras.layers.Layer):
        def build(self, shape):
            self.count = self.add_weight(initializer="zeros")

        def call(self, x):
            self.count.assign(self.count + 1.0)
            return x

    counting = Counting()
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(counting(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    infer = inference_function(model)
    for _ in range(2):  # two traces
        np.testing.assert_allclose(tf.function(infer)(X), infer(X), rtol=1e-6)
    assert counting.count.numpy() == 0


def test_casts_no_weight_in_a_loop():
    model = network("mixed_bfloat16")

    def count(make):
        @tf.function(autograph=False)
        def loop(x, steps):
            infer = make()
            return tf.while_loop(
                lambda i, _: i < steps,
                lambda i, x: (i + 1, x + tf.reduce_sum(infer(x)[0])),
                (0, x),
            )[1]

        graph = loop.get_concrete_function(X, tf.constant(2)).graph
        (name,) = [
            op.get_attr("body").name
            for op in graph.get_operations()
            if "While" in op.type
        ]
        functions = graph.as_graph_def().library.function
        (body,) = [f for f in functions if f.signature.name == name]
        nodes = body.node_def
        reads = sum(node.op == "ReadVariableOp" for node in nodes)
        return reads, sum(node.op == "Cast" for node in nodes)

    reads, casts = count(lambda: inference_function(model))
    plain_reads, plain_casts = count(lambda: model)
    weights = sum(2 if x.bias is not None else 1 for x in model.spectral_layers)
    assert reads == 0 and plain_reads >= weights
    # What is left are images and outputs.
    assert casts <= plain_casts - weights


def test_refuses_training():
    infer = inference_function(network("float32"))
    with pytest.raises(ValueError, match="`training` .*received: True"):
        infer(X, training=True)
