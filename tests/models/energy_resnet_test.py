import keras
import numpy as np
import pytest
import tensorflow as tf

from clel_tf.models import EnergyResNet
from clel_tf.models.common import normalize

TINY = {"widths": (4, 6), "depths": (1, 1), "head_width": 8}


def tiny(image_shape=(8, 8, 1), seed=0, **kwargs):
    options = {**TINY, "feature_dim": 5, "latent_dim": 3, **kwargs}
    return EnergyResNet(image_shape, seed=seed, **options)


def images(image_shape=(8, 8, 1), count=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((count, *image_shape), "float32")


def trainable_count(network):
    return sum(int(np.prod(w.shape)) for w in network.trainable_variables)


@pytest.mark.parametrize(
    "size,count,convolutions",
    [  # a tower: stem, two convolutions a block, shortcuts
        ("small", 1_725_056, 1 + 2 * 4 + 1),
        ("base", 6_955_648, 1 + 2 * 8 + 1),
        ("large", 30_706_816, 3 * (1 + 2 * 8)),
    ],
)
def test_sizes_are_the_papers(size, count, convolutions):
    network = EnergyResNet.from_size(size, (32, 32, 3), seed=0)
    assert trainable_count(network) == count
    assert len(network.spectral_layers) == convolutions
    assert list(network.output_shape) == [(None, 128), (None, 128)]


def test_the_default_is_the_base_network():
    assert trainable_count(EnergyResNet((32, 32, 3))) == 6_955_648


@pytest.mark.parametrize("size", ["small", "base"])
@pytest.mark.parametrize("image_shape", [(8, 8, 1), (8, 13, 3)])
def test_small_and_base_take_images_from_8x8_on(size, image_shape):
    network = EnergyResNet.from_size(size, image_shape, head_width=8)
    assert network(images(image_shape))[0].shape == (2, 128)


def test_large_takes_images_from_32x32_on():
    with pytest.raises(ValueError, match="at least 32x32.*tower"):
        EnergyResNet.from_size("large", (31, 32, 3))
    with pytest.raises(ValueError, match="small, base, large.*'huge'"):
        EnergyResNet.from_size("huge", (32, 32, 3))


def test_towers_read_halved_images():
    network = tiny((16, 16, 1), towers=2, dense_stddev=0.5)
    names = [x.name for x in network.spectral_layers]
    assert sum(n.startswith("tower2_") for n in names) == len(names) / 2
    # A checkerboard averages to grey, so the second tower cannot see it.
    board = np.indices((16, 16)).sum(0) % 2
    board = board[np.newaxis, ..., np.newaxis].astype("float32")
    second = keras.Model(network.input, network.get_layer("tower2_stem").output)
    grey = np.full_like(board, 0.5)
    np.testing.assert_allclose(second(board), second(grey), atol=1e-5)
    assert np.abs(network(board)[0] - network(grey)[0]).max() > 1e-3


@pytest.mark.parametrize("image_shape", [(8, 8, 1), (12, 10, 3), (9, 8, 2)])
def test_output_shapes(image_shape):
    network = tiny(image_shape, widths=(3, 4, 5, 6), depths=(1, 2, 1, 1))
    features, latent = network(images(image_shape))
    assert features.shape == (2, 5) and features.dtype == tf.float32
    assert latent.shape == (2, 3) and latent.dtype == tf.float32
    assert list(network.output_shape) == [(None, 5), (None, 3)]


def leaky(x):
    return np.where(x > 0, x, 0.2 * x)


def forward(network, x, mean, std):
    # The formula, with nothing of the network but its weights in their order.
    layers = network.spectral_layers
    convolutions = iter([x for x in layers if x.kernel_size == 3])
    shortcuts = iter([x for x in layers if x.kernel_size == 1])
    dense = [x for x in network.layers if isinstance(x, keras.layers.Dense)]

    def conv(x, layer):
        matrix = layer.kernel.numpy().reshape(-1, layer.filters)
        kernel = layer.kernel.numpy() / np.linalg.norm(matrix, ord=2)
        return tf.nn.conv2d(x, kernel, 1, "SAME").numpy()

    def conv3(x):
        layer = next(convolutions)
        return conv(x, layer) + layer.bias.numpy()

    def block(x, changes_width):
        shortcut = conv(x, next(shortcuts)) if changes_width else x
        return shortcut + conv3(leaky(conv3(leaky(x))))

    def mlp(x, first, second):
        y = leaky(np.asarray(first(x)))
        return np.asarray(second(y))

    x = block(conv3((x - mean) / std), changes_width=False)
    x = x.reshape(len(x), 3, 2, 4, 2, 4).mean(axis=(2, 4))
    x = block(x, changes_width=True)
    x = leaky(x).mean(axis=(1, 2))
    features = mlp(x, dense[0], dense[1])
    return features, mlp(features, dense[2], dense[3])


def test_computes_the_documented_formula():
    mean, std = np.float32([0.4, 0.5]), np.float32([0.2, 0.3])
    network = tiny((6, 8, 2), mean=(0.4, 0.5), std=(0.2, 0.3), dense_stddev=0.5)
    rng = np.random.default_rng(1)
    biases = [w for w in network.variables if w.name == "bias"]
    assert len(biases) == 5 + 2  # the head's, but not the shortcut's
    for bias in biases:
        bias.assign(rng.normal(size=bias.shape))
    x = images((6, 8, 2))
    expected = forward(network, x, mean, std)
    for received, by_hand in zip(network(x), expected, strict=True):
        assert np.abs(by_hand).max() > 0.1
        np.testing.assert_allclose(received, by_hand, rtol=1e-3, atol=1e-4)


def test_the_projection_has_no_biases_and_the_head_has():
    dense = [x for x in tiny().layers if isinstance(x, keras.layers.Dense)]
    assert [x.use_bias for x in dense] == [True, True, False, False]


@pytest.mark.parametrize("mean,std", [(0.3, 0.2), ((0.1, 0.5, 0.9), 0.2)])
def test_normalize_maps_the_mean_to_zero_and_the_deviation_to_one(mean, std):
    constant = np.broadcast_to(np.float32(mean), (2, 4, 4, 3))
    zeros = normalize(tf.constant(constant), mean, std)
    np.testing.assert_allclose(zeros, np.zeros((2, 4, 4, 3)), atol=1e-6)
    ones = normalize(tf.constant(constant + np.float32(0.2)), mean, std)
    np.testing.assert_allclose(ones, np.ones((2, 4, 4, 3)), atol=1e-5)


def test_without_a_projection_the_latent_is_the_features():
    network, full = tiny(projection=False, latent_dim=5), tiny(latent_dim=5)
    features, latent = network(images())
    np.testing.assert_array_equal(latent, features)
    np.testing.assert_array_equal(features, full(images())[0])
    lacking = 8 * 5 * 2  # two kernels without biases
    assert trainable_count(full) - trainable_count(network) == lacking
    copied = EnergyResNet.from_config(network.get_config())
    assert trainable_count(copied) == trainable_count(network)


def test_seeds_decide_the_weights():
    first, same, other = tiny(seed=1), tiny(seed=1), tiny(seed=2)
    for a, b in zip(first.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    kernels = [
        [w.numpy() for w in n.trainable_variables if "kernel" in w.name]
        for n in (first, other)
    ]
    assert len(kernels[0]) == 10
    for a, b in zip(*kernels, strict=True):
        assert np.abs(a - b).max() > 1e-3


def test_no_two_kernels_share_a_seed():
    kernels = [x.kernel for x in tiny(widths=(4, 4)).spectral_layers[1:]]
    assert len({k.shape for k in kernels}) == 1 and len(kernels) == 4
    assert len({k.numpy().tobytes() for k in kernels}) == 4


def test_the_initial_dense_kernels_have_the_given_deviation():
    network = tiny(head_width=400, feature_dim=50, dense_stddev=0.03)
    kernel = network.get_layer("features").kernel.numpy()
    error = 0.03 * 4 * (0.5 / kernel.size) ** 0.5
    assert kernel.std() == pytest.approx(0.03, abs=error)


def test_saving_gives_an_equal_network(tmp_path):
    network = tiny(
        (8, 6, 3), mean=[0.1, 0.2, 0.3], std=0.3, activation="silu", seed=4
    )
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    assert isinstance(loaded, EnergyResNet)
    assert loaded.get_config() == network.get_config()
    x = images((8, 6, 3))
    for a, b in zip(network(x), loaded(x), strict=True):
        np.testing.assert_array_equal(a, b)


def test_config_builds_an_equal_network():
    network = tiny(dtype="mixed_bfloat16", name="energies", seed=7)
    config = keras.saving.serialize_keras_object(network)
    copied = keras.saving.deserialize_keras_object(config)
    assert copied.get_config() == network.get_config()
    assert copied.name == "energies"
    for a, b in zip(network(images()), copied(images()), strict=True):
        np.testing.assert_array_equal(a, b)


def test_mixed_precision_gives_float32_outputs_near_the_exact_ones():
    mixed = tiny(dtype="mixed_bfloat16", dense_stddev=0.3)
    exact = tiny(dense_stddev=0.3)
    assert {w.dtype for w in mixed.variables} == {"float32"}
    policies = {x.dtype_policy.name for x in mixed.spectral_layers}
    assert policies == {"mixed_bfloat16"}
    for a, b in zip(mixed(images()), exact(images()), strict=True):
        assert a.dtype == tf.float32
        np.testing.assert_allclose(a, b, atol=0.02 * np.abs(b).max())
        assert np.any(a != b)


def test_mixed_precision_normalises_before_it_rounds():
    # Two images that are one in bfloat16.
    x = np.full((1, 8, 8, 1), 231 / 256, "float32")
    close = x + np.float32(1 / 1024)
    rounded = [tf.cast(image, tf.bfloat16) for image in (x, close)]
    assert bool(tf.reduce_all(rounded[0] == rounded[1]))
    network = tiny(dtype="mixed_bfloat16", mean=0.9, std=0.01)
    assert np.any(network(x)[0] != network(close)[0])


def test_inference_changes_no_variable_and_training_updates_the_cache():
    network = tiny()
    before = network.get_weights()
    network(images())
    network(images(), training=False)
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    layer = network.spectral_layers[0]
    stored = layer.normalized_kernel.numpy()
    layer.kernel.assign(layer.kernel.numpy()[::-1])
    network(images(), training=True)
    assert np.abs(layer.normalized_kernel.numpy() - stored).max() > 0.1


def test_gradients_reach_every_weight():
    network = tiny(dense_stddev=0.3)
    with tf.GradientTape() as tape:
        features, latent = network(images(), training=True)
        loss = tf.reduce_sum(features**2) + tf.reduce_sum(latent**2)
    gradients = tape.gradient(loss, network.trainable_variables)
    assert all(np.abs(g).max() > 0 for g in gradients)


@pytest.mark.parametrize(
    "arguments,message",
    [
        ({"image_shape": (7, 8, 1)}, "at least 8x8"),
        ({"image_shape": (8, 8)}, "three positive ints"),
        ({"image_shape": (None, None, 3)}, "three positive ints"),
        ({"widths": (4, 4, 4)}, "one of each a stage"),
        ({"widths": ()}, "received"),
        ({"depths": (1, 1, 0, 1)}, "positive ints"),
        ({"projection": False, "latent_dim": 5}, "received: 5 and 128"),
        ({"towers": 0}, "`towers` to be a positive int"),
        ({"std": 0.0}, "`std` to be positive"),
        ({"std": (0.1, -0.1, 0.1)}, "`std` to be positive"),
    ],
)
def test_refuses_bad_arguments(arguments, message):
    options = {"image_shape": (8, 8, 1), "widths": (4,) * 4, **arguments}
    with pytest.raises(ValueError, match=message):
        EnergyResNet(**options)
