"""Precision, recall, density and coverage of samples."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from clel_tf.metrics.distances import as_points
from clel_tf.metrics.distances import check_same_width
from clel_tf.metrics.distances import chunked_distances


class PRDC(NamedTuple):
    """Result of `prdc`.

    Attributes:
        precision: float in [0, 1]. Share of samples inside some reference's
            ball.
        recall: float in [0, 1]. Share of references inside some sample's ball.
        density: float, at least 0. Mean number of references' balls around a
            sample, over k; its expectation is 1 for samples of the references'
            distribution.
        coverage: float in [0, 1]. Share of references' balls holding some
            sample.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def prdc(
    samples: ArrayLike,
    reference: ArrayLike,
    k: int = 3,
    radii: np.ndarray | None = None,
) -> PRDC:
    """Computes how many samples look real and how much of the data they cover.

        r_i       = distance of reference_i to its k-th nearest other reference
        s_j       = distance of sample_j to its k-th nearest other sample
        d_ij      = |reference_i - sample_j|
        precision = mean_j any_i d_ij <= r_i
        recall    = mean_i any_j d_ij <= s_j
        density   = mean_j sum_i [d_ij <= r_i] / k
        coverage  = mean_i any_j d_ij <= r_i

    Outlying samples have large balls, which raise recall, as outlying
    references' raise precision; density and coverage are robust to them. All
    depend on the sizes of both sets, so compare only figures at equal sizes.

    Args:
        samples: real array `[n, ...]`, finite, n > k; entries are flattened.
        reference: real array `[m, ...]`, finite, m > k.
        k: int, at least 1. The neighbour that sets a ball's radius.
        radii: None, or float array `[m]`, `ball_radii(reference, k)`, for
            several sets of samples that are compared with one reference.

    Returns:
        A `PRDC` of four floats.

    Raises:
        TypeError: if an input does not hold real numbers.
        ValueError: if a shape does not fit, an input is not finite, or k is
            not from 1 to min(n, m) - 1.

    Example:

    >>> import numpy as np
    >>> from clel_tf.metrics import prdc
    >>> reference = np.array([[0.0], [1.0], [2.0], [10.0]])
    >>> prdc(np.array([[0.5], [-5.0]]), reference, k=1)
    PRDC(precision=0.5, recall=0.75, density=1.0, coverage=0.5)

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
    limit = min(len(samples), len(reference))
    if not 1 <= k < limit:
        raise ValueError(
            f"Expected k of at least 1 and below {limit}, the size of the "
            f"smaller set; received: {k}."
        )

    if radii is None:
        radii = ball_radii(reference, k)
    sample_radii = ball_radii(samples, k)
    balls = np.zeros(len(samples), int)
    recalled = np.zeros(len(reference), bool)
    covered = np.zeros(len(reference), bool)
    for rows, distances in chunked_distances(samples, reference):
        hits = distances <= radii
        balls[rows] = hits.sum(axis=1)
        covered |= hits.any(axis=0)
        hits = distances <= sample_radii[rows, np.newaxis]
        recalled |= hits.any(axis=0)
    return PRDC(
        precision=float(np.mean(balls > 0)),
        recall=float(recalled.mean()),
        density=float(balls.mean() / k),
        coverage=float(covered.mean()),
    )


def ball_radii(points, k=3):
    """Distance of each point to its k-th nearest other one, float64 `[n]`."""
    points = as_points("points", points)
    radii = np.empty(len(points))
    for rows, distances in chunked_distances(points, points):
        # A point's own distance is left out by its place, not by its value:
        # copies of a point are neighbours like any other.
        np.fill_diagonal(distances[:, rows], np.inf)
        radii[rows] = np.partition(distances, k - 1, axis=1)[:, k - 1]
    return radii
