"""Frechet distance between two sets of features."""

import warnings

import numpy as np
from numpy.typing import ArrayLike

from clel_tf.metrics.distances import as_features
from clel_tf.metrics.distances import check_same_width
from clel_tf.metrics.feature_moments import FeatureMoments


def frechet_distance(
    a: ArrayLike | FeatureMoments, b: ArrayLike | FeatureMoments
) -> float:
    """Computes the squared Frechet distance of two fitted Gaussians.

        |mean_a - mean_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2))

    with unbiased covariances C. The last trace is computed as the sum of the
    singular values of C_a^(1/2) C_b^(1/2), which are the square roots of the
    eigenvalues of C_a^(1/2) C_b C_a^(1/2): real and finite for covariances of
    any rank. From few samples the distance is biased upwards, so compare only
    figures at equal n. With Inception's features this is the FID.

    Args:
        a: real array `[n, d]` of features, n >= 2, finite; or `FeatureMoments`
            of such features, which need not be in memory together.
        b: as `a`, of the same d; its n may be another.

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
    of_a, of_b = _as_moments("a", a), _as_moments("b", b)
    cov_a, cov_b = of_a.covariance, of_b.covariance
    check_same_width("a and b", cov_a, cov_b)
    _warn_if_few("a", of_a)
    _warn_if_few("b", of_b)

    # Singular values of the product of roots: taking roots of its square's
    # eigenvalues would turn rounding of 1e-16 into errors of 1e-8.
    product = _factor(a, of_a) @ _factor(b, of_b).T
    cross = np.linalg.svd(product, compute_uv=False).sum()
    shift = np.sum((of_a.mean - of_b.mean) ** 2)
    spread = np.trace(cov_a) + np.trace(cov_b) - 2.0 * cross
    return max(0.0, float(shift + spread))


def _as_moments(name, values):
    if isinstance(values, FeatureMoments):
        return values
    return FeatureMoments().update(as_features(name, values))


def _warn_if_few(name, moments):
    n, d = moments.count, len(moments.mean)
    if n <= d:
        warnings.warn(
            f"{name} has n = {n} samples of dimension d = {d}: its covariance "
            "is singular and the Frechet distance strongly biased.",
            UserWarning,
            stacklevel=3,
        )


def _factor(values, moments):
    """F with F^T F = C: deviations where they are few, else C's root."""
    if values is moments or moments.count > len(moments.mean):
        return moments.root
    deviations = as_features("features", values) - moments.mean
    return deviations / np.sqrt(moments.count - 1)
