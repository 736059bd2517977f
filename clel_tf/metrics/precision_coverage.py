"""Precision and coverage of samples by balls around reference points."""

from typing import NamedTuple

import numpy as np

from clel_tf.metrics.distances import as_points
from clel_tf.metrics.distances import check_same_width
from clel_tf.metrics.distances import chunked_distances


class PrecisionCoverage(NamedTuple):
    """Result of `precision_coverage`.

    Attributes:
        precision: float in [0, 1]. Share of samples inside some ball.
        coverage: float in [0, 1]. Share of balls holding some sample.
    """

    precision: float
    coverage: float


def precision_coverage(samples, reference, k=3) -> PrecisionCoverage:
    """Computes how many samples look real and how much of the data they cover.

        radius_i  = distance of reference_i to its k-th nearest other reference
        precision = mean_j any_i |sample_j - reference_i| <= radius_i
        coverage  = mean_i any_j |sample_j - reference_i| <= radius_i

    Args:
        samples: real array `[n, ...]`, finite; entries are flattened.
        reference: real array `[m, ...]`, finite, m > k.
        k: int, at least 1. The neighbour that sets a ball's radius.

    Returns:
        A `PrecisionCoverage` of two floats in [0, 1].

    Raises:
        TypeError: if an input does not hold real numbers.
        ValueError: if a shape does not fit, an input is not finite, or k is
            not from 1 to m - 1.

    Example:

    >>> import numpy as np
    >>> from clel_tf.metrics import precision_coverage
    >>> reference = np.array([[0.0], [1.0], [2.0], [10.0]])
    >>> precision_coverage(np.array([[0.5], [-5.0]]), reference, k=1)
    PrecisionCoverage(precision=0.5, coverage=0.5)

    Reference:
        [Kynkaanniemi et al.: Improved Precision and Recall Metric for
        Assessing Generative Models, NeurIPS 2019](
        https://arxiv.org/abs/1904.06991);
        [Naeem et al.: Reliable Fidelity and Diversity Metrics for Generative
        Models, ICML 2020](https://arxiv.org/abs/2002.09797)
    """
    samples = as_points("samples", samples)
    reference = as_points("reference", reference)
    check_same_width("samples and reference", samples, reference)
    if not 1 <= k < len(reference):
        raise ValueError(
            f"Expected k from 1 to {len(reference) - 1}, one less than the "
            f"references; received: {k}."
        )

    radii = _radii(reference, k)
    inside = np.zeros(len(samples), bool)
    covered = np.zeros(len(reference), bool)
    for rows, distances in chunked_distances(samples, reference):
        hits = distances <= radii
        inside[rows] = hits.any(axis=1)
        covered |= hits.any(axis=0)
    return PrecisionCoverage(float(inside.mean()), float(covered.mean()))


def _radii(reference, k):
    radii = np.empty(len(reference))
    for rows, distances in chunked_distances(reference, reference):
        # A point's own distance is left out by its place, not by its value:
        # copies of a point are neighbours like any other.
        own = np.arange(rows.start, rows.stop)
        distances[own - rows.start, own] = np.inf
        radii[rows] = np.partition(distances, k - 1, axis=1)[:, k - 1]
    return radii
