import numpy as np
import pytest
import tensorflow as tf
from comparison import relative_error
from comparison import torch
from torch.nn import functional

from clel_tf import losses

TOLERANCE = 1e-5


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def energies(seed):
    return 1e-3 * normal(64, seed=seed) ** 2  # as training has them


def compare(ours, theirs, *inputs):
    # Values and gradients with respect to the inputs, in both libraries.
    tensors = [tf.constant(x) for x in inputs]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        loss = ours(*tensors)
    gradients = tape.gradient(loss, tensors)
    leaves = [torch.tensor(x, requires_grad=True) for x in inputs]
    expected = theirs(*leaves)
    expected.backward()
    assert relative_error(loss, expected) <= TOLERANCE
    for gradient, leaf in zip(gradients, leaves):
        assert (gradient is None) == (leaf.grad is None)
        if gradient is not None:
            assert relative_error(gradient, leaf.grad) <= TOLERANCE


def test_divergence_agrees():
    compare(
        lambda p, n: losses.contrastive_divergence(p, n, alpha=0.0),
        lambda p, n: (p - n).mean(),
        energies(0),
        energies(1),
    )


def test_regularization_agrees():
    # At weight 1 it is a thousandth of the divergence, in which it would hide.
    compare(
        lambda p, n: (
            losses.contrastive_divergence(p, n, alpha=1.0)
            - losses.contrastive_divergence(p, n, alpha=0.0)
        ),
        lambda p, n: (p.double() ** 2 + n.double() ** 2).mean(),
        1e3 * energies(0),
        1e3 * energies(1),
    )


@pytest.mark.parametrize("scale", [1e-3, 1.0])
def test_alignment_agrees(scale):
    compare(
        losses.latent_alignment,
        lambda a, b: functional.cosine_similarity(a, b.detach()).mean(),
        scale * normal(64, 128),
        normal(64, 128, seed=1),
    )


def simclr(views, negatives=None, temperature=0.2):
    # Masked similarities of the anchors, unmasked ones to the negatives.
    views = functional.normalize(views)
    similar = (views @ views.T).fill_diagonal_(-torch.inf)
    if negatives is not None:
        negatives = functional.normalize(negatives)
        similar = torch.cat([similar, views @ negatives.T], dim=1)
    half = len(views) // 2
    other = torch.arange(2 * half).roll(half)
    return functional.cross_entropy(similar / temperature, other)


def nt_xent(views, negatives=None):
    unit = [
        None if x is None else tf.math.l2_normalize(x, axis=-1)
        for x in (views, negatives)
    ]
    return losses.nt_xent(*unit, temperature=0.2)


@pytest.mark.parametrize("count", [None, 32])
def test_nt_xent_agrees(count):
    # Views that have learned to agree, and generated images beside them.
    first = normal(32, 128)
    views = np.concatenate([first, first + 0.5 * normal(32, 128, seed=1)])
    inputs = [views] if count is None else [views, normal(count, 128, seed=2)]
    compare(nt_xent, simclr, *inputs)
