import keras
import numpy as np
import pytest
import tensorflow as tf

from clel_tf.models import ResNetEncoder

TINY = {"widths": (4, 6), "depths": (1, 1), "head_width": 8, "latent_dim": 3}


def tiny(image_shape=(8, 8, 1), seed=0, **kwargs):
    return ResNetEncoder(image_shape, seed=seed, **{**TINY, **kwargs})


def images(image_shape=(8, 8, 1), count=6, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((count, *image_shape), "float32")


def norms_of(encoder):
    kind = keras.layers.BatchNormalization
    return [x for x in encoder.layers if isinstance(x, kind)]


def statistics_of(encoder):
    return [
        v.numpy().copy()
        for layer in norms_of(encoder)
        for v in (layer.moving_mean, layer.moving_variance)
    ]


def basic_stage(inputs, width):
    # Two blocks of two 3x3 convolutions, each with a normalisation's scale and
    # offset; the first has a 1x1 shortcut where the width changes.
    count = 9 * inputs * width + 3 * 9 * width * width + 4 * 2 * width
    return count + (inputs * width + 2 * width if inputs != width else 0)


def test_default_is_resnet_18():
    encoder = ResNetEncoder((32, 32, 3), seed=0)
    stages = [basic_stage(*w) for w in ((64, 64), (64, 128), (128, 256))]
    trunk = sum(stages) + basic_stage(256, 512)
    stem = 9 * 3 * 64 + 2 * 64
    # torchvision's has a 7x7 stem and 1,000 classes.
    torchvision = trunk + 49 * 3 * 64 + 2 * 64 + 512 * 1000 + 1000
    assert torchvision == 11_689_512
    head = 512 * 2048 + 2 * 2048 + 2048 * 128 + 128
    weights = encoder.trainable_variables
    assert sum(int(np.prod(w.shape)) for w in weights) == trunk + stem + head
    assert encoder.output_shape == (None, 128)


@pytest.mark.parametrize("image_shape", [(8, 8, 1), (12, 10, 3), (5, 7, 2)])
def test_output_shape(image_shape):
    encoder = tiny(image_shape, widths=(3, 4, 5), depths=(2, 1, 1))
    embedding = encoder(images(image_shape))
    assert embedding.shape == (6, 3) and embedding.dtype == tf.float32


def forward(encoder, x):
    # The formula in inference, with the encoder's weights in their order.
    kind = keras.layers.Conv2D
    layers = [x for x in encoder.layers if isinstance(x, kind)]
    convolutions = iter([x for x in layers if x.kernel_size == (3, 3)])
    (shortcut,) = [x for x in layers if x.kernel_size == (1, 1)]
    dense = [x for x in encoder.layers if isinstance(x, keras.layers.Dense)]
    norms = {id(layer.input): layer for layer in norms_of(encoder)}

    def norm(x, after):
        layer = norms[id(after.output)]
        mean = layer.moving_mean.numpy()
        x = (x - mean) / np.sqrt(layer.moving_variance.numpy() + 1e-5)
        return x * layer.gamma.numpy() + layer.beta.numpy()

    def conv(x, stride=1, layer=None):
        layer = layer or next(convolutions)
        pad = layer.kernel_size[0] // 2
        padding = [[0, 0], [pad, pad], [pad, pad], [0, 0]]
        y = tf.nn.conv2d(x, layer.kernel, stride, padding)
        return norm(y.numpy(), layer)

    x = np.maximum(conv(x), 0)
    x = np.maximum(x + conv(np.maximum(conv(x), 0)), 0)
    y = conv(np.maximum(conv(x, stride=2), 0))
    x = np.maximum(conv(x, 2, shortcut) + y, 0)
    x = norm(x.mean(axis=(1, 2)) @ dense[0].kernel.numpy(), dense[0])
    return np.maximum(x, 0) @ dense[1].kernel.numpy() + dense[1].bias.numpy()


@pytest.mark.parametrize("image_shape", [(8, 6, 2), (7, 7, 2)])
def test_computes_the_documented_formula(image_shape):
    encoder = tiny(image_shape, mean=0.4, std=0.2)
    rng = np.random.default_rng(1)
    for layer in norms_of(encoder):
        layer.gamma.assign(rng.uniform(0.5, 1.5, layer.gamma.shape))
        layer.beta.assign(rng.normal(size=layer.beta.shape))
        layer.moving_mean.assign(0.1 * rng.normal(size=layer.beta.shape))
        layer.moving_variance.assign(rng.uniform(0.5, 2.0, layer.beta.shape))
    x = images(image_shape)
    expected = forward(encoder, (x - np.float32(0.4)) / np.float32(0.2))
    assert expected.std() > 0.05
    np.testing.assert_allclose(encoder(x), expected, rtol=1e-3, atol=1e-4)


def test_blocks_begin_as_their_shortcuts():
    scales = [layer.gamma.numpy() for layer in norms_of(tiny())]
    # Stem; two convolutions; two convolutions and the shortcut; head.
    zero = [not scale.any() for scale in scales]
    assert zero == [False, False, True, False, False, True, False]
    assert all(np.all(scale == scale[0]) for scale in scales)


def test_batch_normalization_has_pytorchs_constants():
    for layer in norms_of(tiny()):
        assert layer.momentum == 0.9 and layer.epsilon == 1e-5


def test_inference_leaves_the_statistics_and_training_moves_them():
    encoder, before = tiny(), statistics_of(tiny())
    encoder(images())
    encoder(images(), training=False)
    for old, new in zip(before, statistics_of(encoder), strict=True):
        np.testing.assert_array_equal(old, new)
    encoder(images(), training=True)
    for old, new in zip(before, statistics_of(encoder), strict=True):
        assert np.any(old != new)


def test_one_training_call_moves_the_statistics_by_a_tenth():
    encoder, x = tiny(mean=0.4, std=0.2), images()
    stem = next(
        x for x in encoder.layers if isinstance(x, keras.layers.Conv2D)
    ).kernel.numpy()
    y = (x - np.float32(0.4)) / np.float32(0.2)
    y = tf.nn.conv2d(y, stem, 1, "SAME").numpy()
    encoder(x, training=True)
    norm = norms_of(encoder)[0]
    expected = 0.1 * y.mean(axis=(0, 1, 2))
    np.testing.assert_allclose(norm.moving_mean, expected, atol=1e-5)
    expected = 0.9 + 0.1 * y.var(axis=(0, 1, 2), ddof=1)
    np.testing.assert_allclose(norm.moving_variance, expected, rtol=1e-4)


def test_seeds_decide_the_weights():
    first, same, other = (tiny(seed=s) for s in (1, 1, 2))
    for a, b in zip(first.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    kernels = [
        [w.numpy() for w in n.trainable_variables if "kernel" in w.name]
        for n in (first, other)
    ]
    assert len(kernels[0]) == 8
    for a, b in zip(*kernels, strict=True):
        assert np.abs(a - b).max() > 1e-3


def test_initial_weights_have_torchvisions_and_pytorchs_scale():
    encoder = tiny(widths=(32, 32), head_width=300, latent_dim=40)
    kernel = encoder.get_layer("stage1_block1_conv1").kernel.numpy()
    relative = 4 * (2 / kernel.size) ** 0.5  # He, by fan out: 2 / (9 * 32)
    assert kernel.var() == pytest.approx(2 / 288, rel=relative)
    layer = encoder.get_layer("embedding")  # uniform within 1 / sqrt(300)
    for weights, room in ((layer.kernel, 1e-3), (layer.bias, 0.1)):
        largest = np.abs(weights).max()
        assert largest == pytest.approx(300**-0.5, rel=room)
        assert largest <= 300**-0.5


@pytest.mark.parametrize("size,is_uniform", [(3, True), (7, False)])
def test_a_new_stem_is_pytorchs_and_imagenets_torchvisions(size, is_uniform):
    encoder = tiny((16, 16, 3), widths=(64, 8), stem_size=size)
    kernel = encoder.get_layer("stem_conv").kernel.numpy()
    assert kernel.shape == (size, size, 3, 64)
    limit = (size * size * 3) ** -0.5
    assert (np.abs(kernel).max() <= limit) == is_uniform
    variance = limit**2 / 3 if is_uniform else 2 / (size * size * 64)
    relative = 4 * (2 / kernel.size) ** 0.5
    assert kernel.var() == pytest.approx(variance, rel=relative)


# Parameters of torchvision's networks, which end in 1,000 classes.
@pytest.mark.parametrize(
    "depth,count,width",
    [(18, 11_689_512, 512), (34, 21_797_672, 512), (50, 25_557_032, 2048)],
)
def test_published_depths(depth, count, width):
    encoder = ResNetEncoder((64, 64, 3), depths=depth, stem_size=7, seed=0)
    head = width * 2048 + 2 * 2048 + 2048 * 128 + 128
    trunk = count - 1000 * (width + 1)
    weights = encoder.trainable_variables
    assert sum(int(np.prod(w.shape)) for w in weights) == trunk + head


def test_imagenets_stem_halves_the_image():
    encoder = tiny((16, 18, 3), stem_size=7)
    assert encoder.get_layer("stem_conv").output.shape[1:3] == (8, 9)


def test_saving_gives_an_equal_encoder(tmp_path):
    encoder = tiny((8, 6, 3), mean=[0.1, 0.2, 0.3], std=0.3, seed=4)
    encoder(images((8, 6, 3)), training=True)
    encoder.save(tmp_path / "encoder.keras")
    loaded = keras.saving.load_model(tmp_path / "encoder.keras")
    assert isinstance(loaded, ResNetEncoder)
    assert loaded.get_config() == encoder.get_config()
    x = images((8, 6, 3))
    np.testing.assert_array_equal(encoder(x), loaded(x))


def test_config_builds_an_equal_encoder():
    encoder = tiny(dtype="mixed_bfloat16", name="h", seed=7)
    config = keras.saving.serialize_keras_object(encoder)
    copied = keras.saving.deserialize_keras_object(config)
    assert copied.get_config() == encoder.get_config()
    assert copied.name == "h"
    np.testing.assert_array_equal(encoder(images()), copied(images()))


def test_mixed_precision_gives_float32_embeddings():
    mixed, exact = tiny(dtype="mixed_bfloat16"), tiny()
    assert {w.dtype for w in mixed.variables} == {"float32"}
    a, b = mixed(images()), exact(images())
    assert a.dtype == tf.float32
    np.testing.assert_allclose(a, b, atol=0.03 * np.abs(b).max())
    assert np.any(a != b)


@pytest.mark.parametrize(
    "arguments,message",
    [
        ({"image_shape": (7, 8, 1)}, "at least 8x8"),
        ({"image_shape": (8, 8, 1, 1)}, "three positive ints"),
        ({"depths": (1, 1)}, "one of each a stage"),
        ({"depths": 20}, "18, 34, 50, 101, 152; received: 20"),
        ({"depths": 18.0}, "18, 34, 50, 101, 152; received: 18.0"),
        ({"depths": None}, "18, 34, 50, 101, 152; received: None"),
        ({"stem_size": 5}, "`stem_size` to be 3 or 7"),
        ({"std": 0.0}, "`std` to be positive"),
    ],
)
def test_refuses_bad_arguments(arguments, message):
    options = {"image_shape": (8, 8, 1), "widths": (4,) * 4, **arguments}
    with pytest.raises(ValueError, match=message):
        ResNetEncoder(**options)
