import warnings

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.datasets import load_digits

from clel_tf.metrics import knn_accuracy
from clel_tf.metrics import linear_probe_accuracy


def blobs(n=60, seed=0):
    """Three overlapping classes of unequal sizes and scales in a plane."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, n, p=[0.6, 0.3, 0.1])
    centres = np.array([[0.0, 0.0], [1.5, 0.0], [0.0, 1.5]])
    latents = centres[labels] + rng.normal(size=(n, 2))
    return latents * [1.0, 20.0] + 5.0, labels


def probe_by_hand(train, labels, test):
    """The minimiser of the documented objective, by another solver."""
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    z, z_test = (train - mean) / deviation, (test - mean) / deviation

    def loss(parameters):
        weights, biases = parameters[:6].reshape(2, 3), parameters[6:]
        log_p = log_softmax(z @ weights + biases, axis=1)
        own = log_p[np.arange(len(labels)), labels]
        return np.sum(weights**2) / 2 - np.sum(own)

    best = minimize(loss, np.zeros(9), method="BFGS").x
    return np.argmax(z_test @ best[:6].reshape(2, 3) + best[6:], axis=1)


def test_labels_are_those_of_the_documented_minimum():
    train, labels = blobs()
    grid = np.stack(np.meshgrid(*[np.linspace(-3, 3, 40)] * 2), axis=-1)
    test = grid.reshape(-1, 2) * [1.0, 20.0] + 5.0
    expected = probe_by_hand(train, labels, test)
    assert set(expected) == {0, 1, 2}
    accuracy = linear_probe_accuracy(train, labels, test, expected)
    assert accuracy >= 1.0 - 2 / len(test)  # but for points on a border


def test_scales_and_constants_of_dimensions_do_not_matter():
    train, labels = blobs()
    test, test_labels = blobs(seed=1)
    accuracy = linear_probe_accuracy(train, labels, test, test_labels)
    assert 0.5 < accuracy < 1.0

    def other(latents):
        constant = np.full([len(latents), 1], 7.0)
        return np.hstack([latents * [1e6, 1e-6] - 3.0, constant])

    again = linear_probe_accuracy(
        other(train), labels, other(test), test_labels
    )
    assert again == accuracy


def test_linear_classes_are_told_and_crossed_ones_are_not():
    corners = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    train = np.repeat(corners, 10, axis=0)
    train += 0.01 * np.random.default_rng(0).normal(size=train.shape)
    sides = np.repeat([0, 0, 1, 1], 10)
    crossed = np.repeat([0, 1, 1, 0], 10)
    assert linear_probe_accuracy(train, sides, corners, [0, 0, 1, 1]) == 1.0
    probed = linear_probe_accuracy(train, crossed, corners, [0, 1, 1, 0])
    assert probed <= 0.75  # no line does better
    assert knn_accuracy(train, crossed, corners, [0, 1, 1, 0]) == 1.0


def test_digits_are_told_and_the_solver_converges():
    data = load_digits()
    x, y = data.data, data.target
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        accuracies = {
            linear_probe_accuracy(x[:500], y[:500], x[500:], y[500:])
            for _ in range(2)
        }
    assert len(accuracies) == 1
    assert 0.85 < accuracies.pop() < 1.0


def test_labels_may_be_names():
    train, names = [[-1.0], [1.0]], ["cat", "dog"]
    test = [[-2.0], [3.0]]
    assert linear_probe_accuracy(train, names, test, ["cat", "cat"]) == 0.5


def test_rejects():
    latents, labels = blobs(6)
    with pytest.raises(ValueError, match=r"two or more .* received: \[4\]"):
        linear_probe_accuracy(latents, np.full(6, 4), latents, labels)
    with pytest.raises(ValueError, match=r"train_labels of shape \(6,\)"):
        linear_probe_accuracy(latents, labels[:3], latents, labels)
    with pytest.raises(ValueError, match="equal dimension"):
        linear_probe_accuracy(latents[:, :1], labels, latents, labels)
    with pytest.raises(ValueError, match="finite test_latents"):
        linear_probe_accuracy(latents, labels, latents * np.nan, labels)
