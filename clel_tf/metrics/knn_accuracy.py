"""Accuracy of a nearest-neighbour classifier on latents."""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.neighbors import KNeighborsClassifier

from clel_tf.metrics.labelled_latents import as_labelled_latents


def knn_accuracy(
    train_latents: ArrayLike,
    train_labels: ArrayLike,
    test_latents: ArrayLike,
    test_labels: ArrayLike,
    k: int = 1,
) -> float:
    """Computes the share of test latents whose neighbours share their label.

    Neighbours are the k training latents of largest cosine; each has one vote
    and a tie goes to the smallest label.

    Args:
        train_latents: real array `[n, d]`, finite.
        train_labels: array `[n]` of labels.
        test_latents: real array `[m, d]`, finite.
        test_labels: array `[m]` of labels.
        k: int from 1 to n.

    Returns:
        float in [0, 1].

    Raises:
        TypeError: if latents are not real numbers.
        ValueError: if a shape does not fit, latents are not finite, or k is
            not from 1 to n.

    Example:

    >>> from clel_tf.metrics import knn_accuracy
    >>> train = [[1.0, 0.0], [0.0, 1.0]]
    >>> knn_accuracy(train, [3, 7], [[5.0, 1.0], [1.0, 2.0]], [3, 3])
    0.5
    """
    train_latents, train_labels, test_latents, test_labels = (
        as_labelled_latents(
            train_latents, train_labels, test_latents, test_labels
        )
    )
    if not 1 <= k <= len(train_latents):
        raise ValueError(
            f"Expected k from 1 to {len(train_latents)}; received: {k}."
        )

    classifier = KNeighborsClassifier(n_neighbors=k, metric="cosine")
    classifier.fit(train_latents, train_labels)
    return float(np.mean(classifier.predict(test_latents) == test_labels))
