import numpy as np
import pytest
import tensorflow as tf

from clel_tf.losses import byol


def vectors(seed):
    return np.random.default_rng(seed).normal(size=(6, 5)).astype("float32")


def by_distances(p, t):
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (p, t)]
    return np.sum((unit[0] - unit[1]) ** 2, axis=1).mean()


def test_it_is_the_distance_of_unit_vectors():
    p, t = vectors(0), 3.0 * vectors(1)
    assert float(byol(p, t)) == pytest.approx(by_distances(p, t), rel=1e-5)
    assert float(byol(p, 2.0 * p)) == pytest.approx(0.0, abs=1e-6)
    assert float(byol(p, -p)) == pytest.approx(4.0)


def test_predictions_learn_and_targets_do_not():
    p, t = vectors(0), vectors(1)
    tensors = [tf.constant(p), tf.constant(t)]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        loss = byol(*tensors)
    gradient, of_targets = tape.gradient(loss, tensors)
    assert of_targets is None
    for place in ((0, 1), (4, 3)):
        moved = [p.astype("float64") for _ in range(2)]
        moved[0][place] += 1e-5
        moved[1][place] -= 1e-5
        slope = (by_distances(moved[0], t) - by_distances(moved[1], t)) / 2e-5
        assert gradient[place].numpy() == pytest.approx(slope, rel=1e-3)
