"""Accuracy of a linear classifier on latents."""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from clel_tf.metrics.labelled_latents import as_labelled_latents


def linear_probe_accuracy(
    train_latents: ArrayLike,
    train_labels: ArrayLike,
    test_latents: ArrayLike,
    test_labels: ArrayLike,
) -> float:
    """Computes the share of test latents that a linear classifier gets right.

        z = (latent - mean) / deviation
        minimise over W, b:  |W|^2 / 2 + sum_i -log softmax(W z_i + b)[label_i]

    with mean and deviation of each of the training latents' dimensions.
    L-BFGS solves it from zero, to gradients of 1e-6 an example, so that
    nothing is random; two labels share one row of W, as in scikit-learn.

    Args:
        train_latents: real array `[n, d]`, finite.
        train_labels: array `[n]` of labels, of two or more classes.
        test_latents: real array `[m, d]`, finite.
        test_labels: array `[m]` of labels.

    Returns:
        float in [0, 1].

    Raises:
        TypeError: if latents are not real numbers.
        ValueError: if a shape does not fit, latents are not finite, or the
            training labels are all one.

    Example:

    >>> from clel_tf.metrics import linear_probe_accuracy
    >>> train = [[-2.0, 5.0], [-1.0, 9.0], [1.0, 9.0], [2.0, 5.0]]
    >>> test = [[-3.0, 7.0], [3.0, 7.0]]
    >>> linear_probe_accuracy(train, [3, 3, 7, 7], test, [3, 3])
    0.5

    Reference:
        [Alain, Bengio: Understanding Intermediate Layers Using Linear
        Classifier Probes, 2016](https://arxiv.org/abs/1610.01644)
    """
    train_latents, train_labels, test_latents, test_labels = (
        as_labelled_latents(
            train_latents, train_labels, test_latents, test_labels
        )
    )
    classes = np.unique(train_labels)
    if len(classes) < 2:
        raise ValueError(
            "Expected train_labels of two or more classes; "
            f"received: {classes.tolist()}."
        )

    probe = make_pipeline(
        StandardScaler(), LogisticRegression(C=1.0, tol=1e-6, max_iter=10_000)
    )
    probe.fit(train_latents, train_labels)
    return float(np.mean(probe.predict(test_latents) == test_labels))
