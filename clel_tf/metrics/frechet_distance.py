"""Frechet distance between two sets of features."""

import warnings

import numpy as np

from clel_tf.metrics.distances import as_points
from clel_tf.metrics.distances import check_same_width


def frechet_distance(a, b) -> float:
    """Computes the squared Frechet distance of two fitted Gaussians.

        |mean_a - mean_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2))

    with unbiased covariances C. The last trace is computed as the sum of the
    singular values of C_a^(1/2) C_b^(1/2), which are the square roots of the
    eigenvalues of C_a^(1/2) C_b C_a^(1/2): real and finite for covariances of
    any rank. From few samples the distance is biased upwards, so compare only
    figures at equal n.

    Args:
        a: real array `[n, d]` of features, n >= 2, finite.
        b: real array `[m, d]` of features, m >= 2, finite.

    Returns:
        float, at least 0. A `UserWarning` is given where a set has no more
        samples than dimensions.

    Raises:
        TypeError: if an input does not hold real numbers.
        ValueError: if an input is not `[n, d]` with n >= 2, is not finite, or
            the dimensions differ.

    Example:

    >>> import numpy as np
    >>> from clel_tf.metrics import frechet_distance
    >>> square = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> round(frechet_distance(square, square + 2.0), 6)
    8.0

    Reference:
        [Heusel et al.: GANs Trained by a Two Time-Scale Update Rule Converge
        to a Local Nash Equilibrium, NeurIPS 2017](
        https://arxiv.org/abs/1706.08500)
    """
    a = _as_features("a", a)
    b = _as_features("b", b)
    check_same_width("a and b", a, b)
    _warn_if_few("a", a)
    _warn_if_few("b", b)

    cov_a = np.atleast_2d(np.cov(a, rowvar=False))
    cov_b = np.atleast_2d(np.cov(b, rowvar=False))
    # Singular values of the product of roots: taking roots of its square's
    # eigenvalues would turn rounding of 1e-16 into errors of 1e-8.
    product = _matrix_root(cov_a) @ _matrix_root(cov_b)
    cross = np.linalg.svd(product, compute_uv=False).sum()
    shift = np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2)
    spread = np.trace(cov_a) + np.trace(cov_b) - 2.0 * cross
    return max(0.0, float(shift + spread))


def _as_features(name, values):
    points = as_points(name, values)
    shape = np.shape(values)
    if len(shape) != 2 or shape[0] < 2:
        raise ValueError(
            f"Expected {name} of shape [n, d] with n >= 2; "
            f"received: shape {shape}."
        )
    return points


def _warn_if_few(name, points):
    n, d = points.shape
    if n <= d:
        warnings.warn(
            f"{name} has n = {n} samples of dimension d = {d}: its covariance "
            "is singular and the Frechet distance strongly biased.",
            UserWarning,
            stacklevel=3,
        )


def _matrix_root(covariance):
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T
