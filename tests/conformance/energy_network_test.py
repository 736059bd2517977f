import copy
import functools

import numpy as np
import pytest
import pytorch_networks as pytorch
import tensorflow as tf
from comparison import as_array
from comparison import channels_first
from comparison import channels_last
from comparison import clone
from comparison import images
from comparison import relative_error
from comparison import torch

from clel_tf.models.joint_energy_model import half_square
from clel_tf.models.reference_checkpoint import load_reference_checkpoint

PARAMETERS = {"small": 1_725_056, "base": 6_955_648, "large": 30_706_816}
TOLERANCE = 1e-4
SMALL = pytorch.SIZES["small"]
THREE_TOWERS = {"widths": (16, 24), "depth": 1, "towers": 3}
NETWORKS = (
    ("ebm", "energy_network"),
    ("ema_ebm", "ema_energy_network"),
)


def build(**options):
    torch.manual_seed(0)
    network = functools.partial(pytorch.EnergyNetwork, **options)
    encoder = functools.partial(pytorch.tiny_encoder, dim=128)
    return pytorch.Reference(network, encoder)


SIZES = ["small", "base", pytest.param("large", marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=SIZES)
def pair(request, tmp_path_factory):
    reference = build(**pytorch.SIZES[request.param])
    path = tmp_path_factory.mktemp("checkpoint") / "last.ckpt"
    model = load_reference_checkpoint(reference.save(path))
    path.unlink()
    return request.param, reference, model


def compare_outputs(ours, theirs, x, training=False):
    features, latents = ours(x, training=training)
    with torch.no_grad():
        expected = theirs(channels_first(x))
    assert relative_error(features, expected[0]) <= TOLERANCE
    assert relative_error(latents, expected[1]) <= TOLERANCE


def test_numbers_of_parameters_are_the_published(pair):
    size, reference, model = pair
    ours = sum(
        int(np.prod(v.shape)) for v in model.energy_network.trainable_variables
    )
    theirs = sum(p.numel() for p in reference.ebm.parameters())
    assert ours == theirs == PARAMETERS[size]


@pytest.mark.parametrize("theirs, ours", NETWORKS)
def test_features_and_latents_agree(pair, theirs, ours):
    _, reference, model = pair
    network = getattr(model, ours)
    compare_outputs(network, getattr(reference, theirs), images(2))


def energies_and_gradients(model, network, x):
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        energies = model.energy(x, network=network)
    return energies, tape.gradient(energies, x)


@pytest.mark.parametrize("theirs, ours", NETWORKS)
def test_energies_and_their_image_gradients_agree(pair, theirs, ours):
    size, reference, model = pair
    x = images(3, seed=2)
    energies, gradients = energies_and_gradients(model, getattr(model, ours), x)
    y = channels_first(x).requires_grad_()
    expected = pytorch.energy_of(getattr(reference, theirs))(y)
    expected.sum().backward()
    assert 0.1 < as_array(expected).mean() < 10.0
    assert relative_error(energies, expected) <= TOLERANCE
    errors = sorted(map(relative_error, gradients, channels_last(y.grad)))
    # Of millions of units one may be within rounding of zero, and take either
    # of leaky ReLU's slopes: for one image in five of the large network.
    exact = 1 if size == "large" else 2
    assert errors[exact - 1] <= TOLERANCE and errors[-1] <= 2e-3


def test_image_gradients_of_three_towers_agree(tmp_path):
    reference = build(**THREE_TOWERS)
    model = load_reference_checkpoint(reference.save(tmp_path / "last.ckpt"))
    x = images(4, seed=3)
    _, gradients = energies_and_gradients(model, model.energy_network, x)
    y = channels_first(x).requires_grad_()
    pytorch.energy_of(reference.ebm)(y).sum().backward()
    assert relative_error(gradients, channels_last(y.grad)) <= TOLERANCE


def test_live_and_averaged_weights_differ(pair):
    _, _, model = pair
    energies = [
        model.energy(images(2), network=getattr(model, ours))
        for _, ours in NETWORKS
    ]
    assert relative_error(*energies) > 0.01


def spectral_state(network):
    return [
        np.concatenate([np.ravel(getattr(x, name)) for x in layers])
        for layers in [network.spectral_layers]
        for name in ("u", "v", "normalized_kernel")
    ]


@pytest.mark.parametrize("options", [SMALL, THREE_TOWERS])
def test_a_training_forward_iterates_alike(options, tmp_path):
    reference = build(**options)
    path = tmp_path / "last.ckpt"
    before = load_reference_checkpoint(reference.save(path))
    network = before.energy_network
    start = spectral_state(network)
    reference.ebm.train()
    compare_outputs(network, reference.ebm, images(2), training=True)
    after = load_reference_checkpoint(reference.save(path)).energy_network
    for old, new, expected in zip(
        start, spectral_state(network), spectral_state(after)
    ):
        assert relative_error(new, expected) <= TOLERANCE
        assert relative_error(old, expected) > 10 * TOLERANCE


def test_the_published_initialisation_agrees(tmp_path):
    reference = build(**SMALL)
    pytorch.initialize_as_published(reference.ebm)
    model = load_reference_checkpoint(reference.save(tmp_path / "last.ckpt"))
    compare_outputs(model.energy_network, reference.ebm, images(2))
    energies = half_square(model.energy_network(images(2))[0])
    assert np.all(energies < 1e-3)
    compare_outputs(
        clone(model.energy_network),
        copy.deepcopy(reference.ebm).train(),
        images(2),
        training=True,
    )
