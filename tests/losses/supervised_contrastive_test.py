import numpy as np
import pytest
import tensorflow as tf

from clel_tf.losses import nt_xent
from clel_tf.losses import supervised_contrastive

LABELS = np.array([2, 0, 1, 0, 2, 2, 7])  # one of a class of its own


def unit_vectors(count, dimension, seed):
    z = np.random.default_rng(seed).normal(size=(count, dimension))
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def by_loops(z, labels, temperature, anchors=None):
    """The mean over the first `anchors` rows, each compared with all others."""
    terms = []
    for i in range(len(z) if anchors is None else anchors):
        rest = [j for j in range(len(z)) if j != i]
        total = sum(np.exp(z[i] @ z[j] / temperature) for j in rest)
        same = [j for j in rest if labels[j] == labels[i]]
        logs = [np.log(np.exp(z[i] @ z[p] / temperature) / total) for p in same]
        terms.append(-np.mean(logs) if same else 0.0)
    return np.mean(terms)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_matches_loops(temperature):
    z = unit_vectors(7, 3, seed=0)
    loss = supervised_contrastive(z, LABELS, temperature=temperature)
    assert loss.dtype == tf.float32
    expected = by_loops(z, LABELS, temperature)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_others_are_compared_with_and_are_no_anchors():
    z = unit_vectors(7, 3, seed=0)
    loss = supervised_contrastive(z[:4], LABELS[:4], z[4:], LABELS[4:], 0.5)
    expected = by_loops(z, LABELS, 0.5, anchors=4)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_a_class_for_each_image_makes_it_nt_xent():
    z = unit_vectors(8, 5, seed=1)
    loss = supervised_contrastive(z, np.tile(np.arange(4), 2), temperature=0.2)
    assert float(loss) == pytest.approx(float(nt_xent(z)), rel=1e-5)


def test_gradients_match_finite_differences():
    z = unit_vectors(7, 3, seed=2)
    latents = tf.constant(z, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(latents)
        loss = supervised_contrastive(latents, LABELS, temperature=0.5)
    gradient = tape.gradient(loss, latents)
    for place in ((0, 1), (2, 0), (6, 2)):
        moved = []
        for step in (1e-5, -1e-5):
            copy = z.copy()
            copy[place] += step
            moved.append(by_loops(copy, LABELS, 0.5))
        slope = (moved[0] - moved[1]) / 2e-5
        assert gradient[place].numpy() == pytest.approx(slope, rel=1e-3)
