import numpy as np
import pytest
import tensorflow as tf

from clel_tf.models import EnergyResNet
from clel_tf.models import ResNetEncoder
from clel_tf.models.moving_average import moving_copy
from clel_tf.models.moving_average import update_moving_copy

TINY = {"widths": (6, 8), "depths": (1, 1), "head_width": 8, "latent_dim": 4}


@pytest.fixture
def energy_network():
    return EnergyResNet((8, 8, 1), feature_dim=4, seed=0, **TINY)


@pytest.fixture
def encoder():
    return ResNetEncoder((8, 8, 1), seed=0, **TINY)


def images():
    return np.random.default_rng(0).random((4, 8, 8, 1), "float32")


def change(network, seed=1):
    rng = np.random.default_rng(seed)
    for weight in network.trainable_variables:
        weight.assign_add(0.1 * rng.normal(size=weight.shape))


def values(variables):
    return [v.numpy().copy() for v in variables]


def test_a_copy_is_equal_and_its_own(energy_network, encoder):
    for network in (energy_network, encoder):
        copied = moving_copy(network)
        assert type(copied) is type(network)
        assert copied.name == f"ema_{network.name}"
        expected = values(network.variables)
        for a, b in zip(expected, copied.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        change(network)
        for a, b in zip(expected, copied.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_copy_is_not_trained(energy_network, encoder):
    for network in (energy_network, encoder):
        assert network.trainable_variables
        assert not moving_copy(network).trainable_variables


def test_averages_the_trained_weights(energy_network, encoder):
    for network in (energy_network, encoder):
        copied = moving_copy(network)
        trained = [i for i, w in enumerate(network.variables) if w.trainable]
        expected = [values(network.variables)[i] for i in trained]
        for step, decay in enumerate((0.9, 0.5, 0.99)):
            change(network, seed=step)
            update_moving_copy(network, copied, tf.constant(decay))
            live = values(network.variables)
            expected = [
                decay * a + (1 - decay) * live[i]
                for i, a in zip(trained, expected, strict=True)
            ]
        averaged = values(copied.variables)
        for i, a in zip(trained, expected, strict=True):
            np.testing.assert_allclose(averaged[i], a, atol=1e-6)
            assert np.any(averaged[i] != live[i])


def test_a_decay_of_zero_copies(energy_network):
    copied = moving_copy(energy_network)
    change(energy_network)
    update_moving_copy(energy_network, copied, 0.0)
    for source, target in zip(
        energy_network.variables, copied.variables, strict=True
    ):
        if source.trainable:
            np.testing.assert_array_equal(source, target)


def test_copies_the_statistics_of_batch_normalisation(encoder):
    copied = moving_copy(encoder)
    encoder(images(), training=True)
    update_moving_copy(encoder, copied, tf.constant(0.9))
    statistics = [v for v in encoder.variables if "moving" in v.name]
    own = [v for v in copied.variables if "moving" in v.name]
    assert len(statistics) == 14
    for source, target in zip(statistics, own, strict=True):
        assert np.any(source.numpy() != np.round(source.numpy()))
        np.testing.assert_array_equal(source, target)


def test_the_averaged_kernels_are_normalised_by_their_own_norm(energy_network):
    copied = moving_copy(energy_network)
    update = tf.function(
        lambda decay: update_moving_copy(energy_network, copied, decay)
    )
    for step in range(10):
        change(energy_network, seed=step)
        update(tf.constant(0.5))
    for _ in range(40):  # the live network stands still
        update(tf.constant(0.9))
    for live, own in zip(
        energy_network.spectral_layers, copied.spectral_layers, strict=True
    ):
        kernel = own.kernel.numpy()
        sigma = np.linalg.norm(kernel.reshape(-1, own.filters), ord=2)
        assert float(own.sigma()) == pytest.approx(sigma, rel=0.02)
        expected = kernel / own.sigma().numpy()
        np.testing.assert_allclose(own.normalized_kernel, expected, atol=1e-6)
        # The live network's vectors have stayed behind its weights.
        assert np.abs(own.u.numpy() - live.u.numpy()).max() > 0.01


def test_an_update_leaves_the_live_network(energy_network, encoder):
    for network in (energy_network, encoder):
        copied = moving_copy(network)
        change(network)
        before = values(network.variables)
        update_moving_copy(network, copied, tf.constant(0.9))
        for old, new in zip(before, network.variables, strict=True):
            np.testing.assert_array_equal(old, new)


def test_updates_inside_a_graph(energy_network):
    plain, compiled = (moving_copy(energy_network) for _ in range(2))
    change(energy_network)
    update_moving_copy(energy_network, plain, 0.75)
    tf.function(update_moving_copy)(energy_network, compiled, tf.constant(0.75))
    for a, b in zip(plain.variables, compiled.variables, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
