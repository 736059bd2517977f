import numpy as np
import pytest
import tensorflow as tf
from comparison import as_array
from comparison import channels_first
from comparison import channels_last
from comparison import relative_error
from comparison import torch
from comparison import torch_kernel
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from clel_tf.layers import BatchNormalization
from clel_tf.layers import SpectralConv2D
from clel_tf.models.common import activation_layer

TOLERANCE = 1e-5


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def test_relative_error_is_of_norms():
    assert relative_error([3.0, 4.0], [0.0, 4.0]) == 0.75
    assert relative_error(tf.ones(4), torch.ones(4)) == 0.0


# === Spectral normalisation ===


def spectral_pair(size):
    # One convolution of ours and theirs, not at a fixed point of iteration.
    torch.manual_seed(size)
    theirs = nn.Conv2d(5, 7, size, padding=size // 2)
    nn.init.normal_(theirs.weight)
    theirs = spectral_norm(theirs, n_power_iterations=1)
    state = theirs.parametrizations.weight[0]
    for vector in (state._u, state._v):
        nn.init.normal_(vector)
        vector.div_(vector.norm())
    ours = SpectralConv2D(7, size)
    ours.build((None, 8, 8, 5))
    original = theirs.parametrizations.weight.original
    ours.kernel.assign(as_array(original).transpose(2, 3, 1, 0))
    ours.bias.assign(as_array(theirs.bias))
    v = as_array(state._v).reshape(5, size, size).transpose(1, 2, 0)
    ours.u.assign(as_array(state._u))
    ours.v.assign(v.ravel())
    ours.refresh()
    return ours, theirs


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("size", [1, 3])
def test_normalized_kernels_agree(size, training):
    ours, theirs = spectral_pair(size)
    x = normal(2, 8, 8, 5)
    for _ in range(3):
        outputs = ours(x, training=training)
        expected = theirs.train(training)(channels_first(x))
        assert relative_error(outputs, channels_last(expected)) <= TOLERANCE
    stored = torch_kernel(ours.normalized_kernel)
    assert relative_error(stored, theirs.eval().weight) <= TOLERANCE


@pytest.mark.parametrize("size", [1, 3])
def test_gradients_through_sigma_agree(size):
    ours, theirs = spectral_pair(size)
    x, weights = normal(2, 8, 8, 5), normal(2, 8, 8, 7, seed=1)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(ours(x, training=True) * weights)
    gradients = tape.gradient(loss, [ours.kernel, ours.bias])
    expected = theirs.train()(channels_first(x)) * channels_first(weights)
    expected.sum().backward()
    original = theirs.parametrizations.weight.original
    for gradient, parameter in zip(gradients, [original, theirs.bias]):
        gradient = torch_kernel(gradient)
        assert relative_error(gradient, parameter.grad) <= TOLERANCE


# === Batch normalisation ===


def batch_norm_pair(shape):
    torch.manual_seed(0)
    theirs = (nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d)(shape[-1])
    ours = BatchNormalization()
    ours.build(shape)
    for variable, tensor in (
        (ours.gamma, theirs.weight),
        (ours.beta, theirs.bias),
        (ours.moving_mean, theirs.running_mean),
        (ours.moving_variance, theirs.running_var),
    ):
        nn.init.uniform_(tensor, 0.5, 2.0)
        variable.assign(as_array(tensor))
    return ours, theirs


@pytest.mark.parametrize("shape", [(3, 8, 8, 5), (3, 5)])
def test_batch_normalization_agrees(shape):
    ours, theirs = batch_norm_pair(shape)
    for seed in range(20):
        x = normal(*shape, seed=seed)
        # Channels come second there, whether pixels follow or not.
        y = torch.tensor(np.moveaxis(x, -1, 1))
        for training in (True, False):
            outputs = np.moveaxis(ours(x, training=training), -1, 1)
            expected = theirs.train(training)(y)
            assert relative_error(outputs, expected) <= TOLERANCE
    mean, variance = ours.moving_mean, ours.moving_variance
    assert relative_error(mean, theirs.running_mean) <= TOLERANCE
    assert relative_error(variance, theirs.running_var) <= TOLERANCE


# === Activation ===


def test_leaky_relu_agrees():
    x = normal(4, 8)
    outputs = activation_layer("leaky_relu", "float32")(x)
    assert relative_error(outputs, nn.LeakyReLU(0.2)(torch.tensor(x))) == 0.0
