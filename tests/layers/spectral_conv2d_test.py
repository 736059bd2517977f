import keras
import numpy as np
import pytest
import tensorflow as tf

from clel_tf.layers import SpectralConv2D


def built(filters=6, channels=4, seed=0, **kwargs):
    layer = SpectralConv2D(filters, seed=seed, **kwargs)
    layer.build((None, 7, 7, channels))
    return layer


def images(shape=(2, 5, 5, 4), seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape).astype("float32")


def top_singular_value(kernel):
    kernel = np.asarray(kernel, "float64")
    matrix = kernel.reshape(-1, kernel.shape[-1])
    return np.linalg.svd(matrix, compute_uv=False)[0]


def convolve(inputs, kernel):
    return tf.nn.conv2d(inputs, kernel, strides=1, padding="SAME").numpy()


def state_of(layer):
    return [v.numpy().copy() for v in layer.variables]


@pytest.mark.parametrize(
    "filters,channels,kernel_size",
    [(6, 4, 3), (64, 3, 3), (64, 16, 1), (1, 2, 3), (256, 256, 3)],
)
def test_normalised_from_the_start(filters, channels, kernel_size):
    layer = built(filters, channels, kernel_size=kernel_size)
    sigma = top_singular_value(layer.kernel)
    assert float(layer.sigma()) == pytest.approx(sigma, rel=1e-4)
    norm = top_singular_value(layer.normalized_kernel)
    assert norm == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("learning_rate", [1e-4, 1e-3])
def test_normalised_while_training(learning_rate):
    layer = built(24, 8)
    optimizer = keras.optimizers.Adam(learning_rate, beta_1=0.0)
    x, before = images((4, 6, 6, 8)), layer.kernel.numpy()
    target = np.roll(x[..., :1], 1, axis=1)
    for _ in range(60):
        with tf.GradientTape() as tape:
            errors = tf.square(layer(x, training=True) - target)
            loss = tf.reduce_mean(errors)
        weights = layer.trainable_variables
        optimizer.apply(tape.gradient(loss, weights), weights)
        layer.refresh()
        norm = top_singular_value(layer.normalized_kernel)
        assert norm == pytest.approx(1.0, abs=0.02)
    moved = np.abs(layer.kernel.numpy() - before).max()
    assert moved > 20 * learning_rate


@pytest.mark.parametrize("training", [False, True])
def test_output_is_the_convolution_with_the_divided_kernel(training):
    layer, x = built(), images()
    layer.refresh(iterations=300)
    layer.bias.assign(np.arange(6.0))
    kernel = layer.kernel.numpy() / top_singular_value(layer.kernel)
    expected = convolve(x, kernel.astype("float32")) + np.arange(6.0)
    np.testing.assert_allclose(layer(x, training=training), expected, atol=2e-5)


def test_gradient_by_the_quotient_rule():
    # With W / s and s = v'Wu as a function of W: G / s - <G, W> / s^2 v u'.
    layer, x, weight = built(), images(), images((2, 5, 5, 6), seed=1)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x, training=True) * weight)
    received = tape.gradient(loss, layer.kernel.value)

    kernel = layer.kernel.numpy().astype("float64")
    u, v = layer.u.numpy(), layer.v.numpy()
    sigma = v @ kernel.reshape(-1, 6) @ u
    constant = tf.constant(kernel / sigma, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(constant)
        y = tf.nn.conv2d(x, constant, 1, "SAME")
        loss = tf.reduce_sum(y * weight)
    g = tape.gradient(loss, constant).numpy()
    through_sigma = np.outer(v, u).reshape(kernel.shape)
    expected = g / sigma - (g * kernel).sum() / sigma**2 * through_sigma
    np.testing.assert_allclose(received, expected, rtol=1e-3, atol=1e-4)


def test_gradient_is_that_of_division_by_the_largest_singular_value():
    layer, x, weight = built(), images(), images((2, 5, 5, 6), seed=1)
    layer.refresh(iterations=300)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x, training=True) * weight)
    gradient = tape.gradient(loss, layer.kernel.value).numpy()

    def exact_loss(kernel):
        kernel = kernel / top_singular_value(kernel)
        return (convolve(x.astype("float64"), kernel) * weight).sum()

    kernel = layer.kernel.numpy().astype("float64")
    for seed in range(3):
        direction = images(kernel.shape, seed)
        moved = [exact_loss(kernel + h * direction) for h in (1e-5, -1e-5)]
        slope = (moved[0] - moved[1]) / 2e-5
        assert (gradient * direction).sum() == pytest.approx(slope, rel=2e-3)
    # W / sigma(W) does not change along W itself.
    assert abs((gradient * kernel).sum()) < 1e-3 * np.abs(gradient).sum()


def test_inference_reads_the_stored_kernel_and_changes_nothing():
    layer, x = built(use_bias=False), images()
    stored = images((3, 3, 4, 6), seed=2)
    layer.normalized_kernel.assign(stored)
    before = state_of(layer)
    for call in (layer, lambda x: layer(x, training=False)):
        np.testing.assert_allclose(call(x), convolve(x, stored), atol=1e-5)
    for old, new in zip(before, state_of(layer), strict=True):
        np.testing.assert_array_equal(old, new)


def test_inference_gives_the_raw_kernel_no_gradient():
    layer = built()
    with tf.GradientTape() as tape:
        y = layer(images(), training=False)
    assert tape.gradient(y, layer.kernel.value) is None


def test_a_training_call_iterates_once_and_stores_its_kernel():
    layer = built()
    matrix, u = layer.kernel.numpy().reshape(-1, 6), layer.u.numpy()
    v = matrix @ u / np.linalg.norm(matrix @ u)
    u = matrix.T @ v / np.linalg.norm(matrix.T @ v)
    layer(images(), training=True)
    np.testing.assert_allclose(layer.v, v, atol=1e-6)
    np.testing.assert_allclose(layer.u, u, atol=1e-6)
    expected = layer.kernel.numpy() / (v @ matrix @ u)
    np.testing.assert_allclose(layer.normalized_kernel, expected, atol=1e-6)


def test_refresh_follows_a_changed_kernel():
    layer = built()
    before, u = layer.normalized_kernel.numpy(), layer.u.numpy()
    layer.kernel.assign(3.0 * layer.kernel)
    layer.refresh()
    np.testing.assert_allclose(layer.normalized_kernel, before, atol=1e-6)
    np.testing.assert_array_equal(layer.u, u)

    layer.kernel.assign(images((3, 3, 4, 6), seed=3))
    layer.refresh(iterations=100)
    assert top_singular_value(layer.normalized_kernel) == pytest.approx(1.0)


@pytest.mark.parametrize("extension", [".weights.h5", ".keras"])
def test_loading_recomputes_the_cache_from_the_stored_vectors(
    tmp_path, extension
):
    layer = SpectralConv2D(6, seed=0)
    model = keras.Sequential([keras.Input((5, 5, 4)), layer])
    expected, u = layer.normalized_kernel.numpy(), layer.u.numpy()
    layer.normalized_kernel.assign(np.zeros_like(expected))
    path = tmp_path / f"model{extension}"
    if extension == ".keras":
        model.save(path)
        other = keras.saving.load_model(path)
    else:
        model.save_weights(path)
        fresh = SpectralConv2D(6, seed=1)
        other = keras.Sequential([keras.Input((5, 5, 4)), fresh])
        other.load_weights(path)
    loaded = other.layers[-1]
    np.testing.assert_allclose(loaded.normalized_kernel, expected, atol=1e-6)
    np.testing.assert_array_equal(loaded.u, u)


def test_mixed_precision_keeps_its_state_in_float32():
    layer, x = built(dtype="mixed_bfloat16"), images()
    exact = built()
    assert {v.dtype for v in layer.variables} == {"float32"}
    for training in (True, False):
        y = layer(x, training=training)
        assert y.dtype == tf.bfloat16
        expected = exact(x, training=training)
        np.testing.assert_allclose(
            tf.cast(y, tf.float32), expected, rtol=0.05, atol=0.05
        )
    np.testing.assert_allclose(
        layer.normalized_kernel, exact.normalized_kernel, atol=1e-6
    )
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.cast(layer(x, training=True), tf.float32))
    assert tape.gradient(loss, layer.kernel.value).dtype == tf.float32


def test_biases_of_summed_convolutions_have_one_exact_gradient():
    # Left to itself TensorFlow takes one of the two sums within a convolution's
    # gradient, exactly, and the other in bfloat16; by chance which.
    both = [
        built(32, 32, kernel_size=k, dtype="mixed_bfloat16") for k in (3, 1)
    ]
    x, g = images((64, 4, 4, 32)), images((64, 4, 4, 32), seed=1)
    g[32:] = -g[31::-1] + 2**-5 * g[:32]  # sums that nearly cancel
    x, g = tf.cast(x, tf.bfloat16), tf.cast(g, tf.bfloat16)

    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            y = sum(conv(x, training=True) for conv in both)
        weights = [w.value for conv in both for w in (conv.bias, conv.kernel)]
        return tape.gradient(y, weights, g)[::2]

    expected = np.asarray(g, "float64").sum((0, 1, 2))
    for gradient in gradients():
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_xla_agrees_with_the_plain_graph(training):
    plain, compiled, x = built(), built(), images()
    call = tf.function(
        lambda x: compiled(x, training=training), jit_compile=True
    )
    np.testing.assert_allclose(call(x), plain(x, training=training), atol=1e-5)
    for a, b in zip(state_of(plain), state_of(compiled), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_seeds_and_the_default_initial_kernel():
    layers = [built(64, 16, seed=s) for s in (1, 1, 2)]
    kernels = [layer.kernel.numpy() for layer in layers]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert np.abs(kernels[0] - kernels[2]).max() > 0.1
    # 9,216 draws of N(0, 1 / (9 * 16)), not truncated at two deviations.
    scaled = kernels[0] * 12.0
    assert scaled.var() == pytest.approx(1.0, abs=4 * (2 / 9216) ** 0.5)
    assert np.mean(np.abs(scaled) > 2) == pytest.approx(0.0455, abs=0.009)


def test_config_round_trip():
    layer = SpectralConv2D(
        5,
        kernel_size=1,
        use_bias=False,
        kernel_initializer=keras.initializers.Constant(0.5),
        seed=3,
        name="shortcut",
        dtype="mixed_bfloat16",
    )
    config = keras.saving.serialize_keras_object(layer)
    copied = keras.saving.deserialize_keras_object(config)
    assert isinstance(copied, SpectralConv2D)
    assert copied.get_config() == layer.get_config()
    copied.build((None, 4, 4, 3))
    assert copied.bias is None and copied.kernel.shape == (1, 1, 3, 5)
    assert copied.compute_output_shape((None, 4, 4, 3)) == (None, 4, 4, 5)
    # The constant matrix 0.5 of 3 rows and 5 columns has norm 0.5 sqrt(15).
    assert float(copied.sigma()) == pytest.approx(0.5 * 15**0.5, rel=1e-5)


@pytest.mark.parametrize(
    "arguments",
    [{"filters": 0}, {"filters": 2.5}, {"filters": 4, "kernel_size": "3"}],
)
def test_refuses_bad_arguments(arguments):
    with pytest.raises(ValueError, match="positive int; received"):
        SpectralConv2D(**arguments)


def test_refuses_inputs_of_another_rank():
    with pytest.raises(ValueError, match="ndim"):
        SpectralConv2D(4)(np.zeros((2, 8, 8), "float32"))
