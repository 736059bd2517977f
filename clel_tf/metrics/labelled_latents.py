"""Latents with labels, as classifiers of latents take them."""

import numpy as np
from numpy.typing import ArrayLike

from clel_tf.metrics.distances import as_points
from clel_tf.metrics.distances import check_same_width


def as_labelled_latents(
    train_latents: ArrayLike,
    train_labels: ArrayLike,
    test_latents: ArrayLike,
    test_labels: ArrayLike,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Checks latents and their labels.

    Args:
        train_latents: real array `[n, d]`, finite.
        train_labels: array `[n]` of labels.
        test_latents: real array `[m, d]`, finite.
        test_labels: array `[m]` of labels.

    Returns:
        The four as arrays, latents float64, in this order.

    Raises:
        TypeError: if latents are not real numbers.
        ValueError: if a shape does not fit or latents are not finite.
    """
    train_latents = as_points("train_latents", train_latents)
    test_latents = as_points("test_latents", test_latents)
    check_same_width("latents", train_latents, test_latents)
    return (
        train_latents,
        _as_labels("train_labels", train_labels, train_latents),
        test_latents,
        _as_labels("test_labels", test_labels, test_latents),
    )


def _as_labels(name, labels, latents):
    labels = np.asarray(labels)
    if labels.shape != (len(latents),):
        raise ValueError(
            f"Expected {name} of shape ({len(latents)},); "
            f"received: shape {labels.shape}."
        )
    return labels
