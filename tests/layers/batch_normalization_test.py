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


def on_replicas(shards, step):
    """What `step` gives on each replica for its shard, with a fresh layer."""
    strategy = tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"],
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )
    with strategy.scope():
        layer = BatchNormalization(momentum=0.5, synchronized=True)
        layer.build((None, 3, 3, 2))

    def take(context):
        return tf.constant(shards[context.replica_id_in_sync_group])

    shards_of = strategy.experimental_distribute_values_from_function(take)
    result = strategy.run(step, (layer, shards_of))
    return layer, strategy.experimental_local_results(result)


@pytest.mark.parametrize("sizes", [(3, 3), (4, 2), (6, 0)])
def test_synchronized_replicas_normalise_as_one_device(sizes):
    x = images((6, 3, 3, 2))
    shards = np.split(x, [sizes[0]])
    one = BatchNormalization(momentum=0.5)
    expected = one(x, training=True)

    def step(layer, shard):
        outputs = layer(shard, training=True)
        return outputs, tf.identity(layer.moving_variance.value)

    layer, results = on_replicas(shards, step)
    outputs = np.concatenate([outputs for outputs, _ in results])
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    for variance in (results[0][1], results[1][1]):
        np.testing.assert_allclose(variance, one.moving_variance, rtol=1e-5)
    np.testing.assert_allclose(layer.moving_mean, one.moving_mean, rtol=1e-5)


def test_synchronized_gradients_are_those_of_one_device():
    x, weights = images((6, 3, 3, 2)), images((6, 3, 3, 2), seed=1)
    shards = list(zip(np.split(x, [4]), np.split(weights, [4])))

    def gradient_of(layer, x, weights):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x, training=True) * weights)
        return tape.gradient(loss, x)

    expected = gradient_of(
        BatchNormalization(), tf.constant(x), tf.constant(weights)
    )
    _, results = on_replicas(
        [np.stack(shard) for shard in shards],
        lambda layer, shard: gradient_of(layer, *tf.unstack(shard)),
    )
    np.testing.assert_allclose(np.concatenate(results), expected, atol=2e-5)


def test_synchronized_on_one_device_is_the_same_to_the_bit():
    x = images((4, 5, 5, 2)) + 1e3  # digits that a difference would lose
    plain, synchronized = (
        BatchNormalization(synchronized=flag) for flag in (False, True)
    )
    outputs = synchronized(x, training=True)
    np.testing.assert_array_equal(outputs, plain(x, training=True))
    np.testing.assert_array_equal(
        synchronized.moving_variance, plain.moving_variance
    )


def test_refuses_renormalisation():
    with pytest.raises(ValueError, match="`renorm` to be False"):
        BatchNormalization(renorm=True)


def test_refuses_a_mask():
    with pytest.raises(ValueError, match="without a mask"):
        BatchNormalization()(images((2, 4, 3)), mask=tf.ones((2, 4), tf.bool))
