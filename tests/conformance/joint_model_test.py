import numpy as np
import pytest
import pytorch_networks as pytorch
import tensorflow as tf
from comparison import channels_first
from comparison import channels_last
from comparison import images
from comparison import relative_error
from comparison import torch
from torch.nn import functional

from clel_tf.layers import SimCLRAugmentation
from clel_tf.models.reference_checkpoint import load_reference_checkpoint
from clel_tf.samplers import SGLD

TOLERANCE = 1e-4
COUNT = 6
NO_AUGMENTATION = SimCLRAugmentation(
    crop_scale=(1.0, 1.0),
    crop_ratio=(1.0, 1.0),
    jitter_probability=0.0,
    grayscale_probability=0.0,
    flip_probability=0.0,
)


def load(reference, folder):
    return load_reference_checkpoint(reference.save(folder / "last.ckpt"))


def batch():
    # Data, and generated images.
    return images(COUNT), images(COUNT, seed=1)


# === The terms of the loss ===


# The reference's formulas in its order, on images that are not augmented.
def theirs(reference):
    positive, negative = map(channels_first, batch())
    with torch.no_grad():
        target = reference.encoder(positive)
    views = reference.encoder(torch.cat([positive, positive]))
    features, latents = reference.ebm(torch.cat([positive, negative]))
    energies = features.square().sum(1) / 2
    similarity = functional.cosine_similarity(latents[:COUNT], target).mean()
    return {
        **energy_terms(energies[:COUNT], energies[COUNT:], similarity),
        **encoder_terms(reference.encoder, views, latents[COUNT:].detach()),
    }


def energy_terms(positive, negative, similarity):
    divergence = (positive - negative).mean()
    squares = (positive**2 + negative**2).mean()
    return {
        "energy_positive": positive.mean(),
        "energy_negative": negative.mean(),
        "energy_gap": -divergence,
        "latent_similarity": similarity,
        "squares": squares,
        "energy_loss": divergence + squares - 0.01 * similarity,
    }


def encoder_terms(encoder, views, negatives):
    views, negatives = map(functional.normalize, (views, negatives))
    logits = views @ torch.cat([views, negatives]).T / 0.2
    partners = torch.arange(2 * COUNT).roll(COUNT)
    nt_xent = functional.cross_entropy(
        logits.fill_diagonal_(-torch.inf), partners
    )
    squares = sum(w.square().sum() for w in encoder.parameters())
    return {
        "nt_xent": nt_xent,
        "penalty": 5e-4 / 2 * squares,
        "encoder_loss": nt_xent + 5e-4 / 2 * squares,
    }


def ours(model):
    model.augmentation = NO_AUGMENTATION
    terms = model.losses_of(*map(tf.constant, batch()), model._step_keys())
    similarity = model.beta * terms["latent_similarity"]
    divergence = -terms["energy_gap"]
    return {
        **terms,
        "squares": terms["energy_loss"] - divergence + similarity,
        "penalty": terms["encoder_loss"] - terms["nt_xent"],
    }


TERMS = {
    "energy_gap": "energy_network",
    "squares": "energy_network",
    "latent_similarity": "energy_network",
    "energy_loss": "energy_network",
    "nt_xent": "encoder",
    "penalty": "encoder",
    "encoder_loss": "encoder",
}


@pytest.fixture
def pair(tmp_path):
    torch.manual_seed(0)
    reference = pytorch.tiny_reference()
    return reference.train(), load(reference, tmp_path)


def test_terms_agree(pair):
    reference, model = pair
    terms, expected = ours(model), theirs(reference)
    assert set(terms) == set(expected)
    for name, value in expected.items():
        assert relative_error(terms[name], value) <= TOLERANCE, name


@pytest.mark.parametrize("term", TERMS)
def test_each_terms_gradients_agree(pair, term, tmp_path):
    reference, model = pair
    network = getattr(model, TERMS[term])
    with tf.GradientTape() as tape:
        loss = ours(model)[term]
    gradients = tape.gradient(loss, network.trainable_variables)
    theirs(reference)[term].backward()
    expected = getattr(load(reference.gradients(), tmp_path), TERMS[term])
    for gradient, parameter in zip(
        gradients, expected.trainable_variables, strict=True
    ):
        if np.any(parameter):
            assert relative_error(gradient, parameter) <= TOLERANCE
        else:
            assert gradient is None or not np.any(gradient)


# === Langevin dynamics ===


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    torch.manual_seed(0)
    reference = pytorch.Reference(
        lambda: pytorch.EnergyNetwork(**pytorch.SIZES["small"]),
        lambda: pytorch.tiny_encoder(dim=128),
    )
    return reference, load(reference, tmp_path_factory.mktemp("small"))


def test_noiseless_chains_agree(small):
    reference, model = small
    model.sampler = SGLD(step_size=100.0, noise_scale=0.0)
    initial = images(4)
    samples = model.sample(4, initial=initial, num_steps=3)
    x = channels_first(initial)
    for _ in range(3):
        x.requires_grad_()
        energy = pytorch.energy_of(reference.ema_ebm)(x).sum()
        (gradient,) = torch.autograd.grad(energy, x)
        x = (x - 100.0 * gradient).clamp(0.0, 1.0).detach()
    assert relative_error(samples, channels_last(x)) <= TOLERANCE
    assert relative_error(samples, initial) > 0.1
