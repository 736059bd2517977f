"""Mean and covariance of features that come in batches."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from clel_tf.metrics.distances import as_features
from clel_tf.metrics.distances import check_same_width


class FeatureMoments:
    """Mean and unbiased covariance of features, gathered batch by batch.

    Of n features it keeps the mean and the scatter S, the sum of the outer
    products of their deviations from it. A batch of m features joins by

        shift = mean_of_batch - mean
        mean <- mean + m / (n + m) shift
        S    <- S + S_of_batch + n m / (n + m) shift shift^T

    in float64. Memory is a few times d^2 however many features come, nothing
    large is subtracted from anything large, and the order of the batches
    changes no more than rounding.

    Attributes:
        count: int. The number n of features.
        mean: float64 array `[d]`, n >= 1.
        covariance: float64 array `[d, d]`, S / (n - 1), n >= 2.
        root: float64 array `[d, d]`, the covariance's symmetric root.

    Example:

    >>> from clel_tf.metrics import FeatureMoments
    >>> moments = FeatureMoments().update([[0.0], [2.0]]).update([[4.0]])
    >>> moments.count, moments.mean, moments.covariance
    (3, array([2.]), array([[4.]]))

    Reference:
        [Chan, Golub, LeVeque: Updating Formulae and a Pairwise Algorithm for
        Computing Sample Variances, COMPSTAT 1982](
        https://doi.org/10.1007/978-3-642-51461-6_3)
    """

    def __init__(self):
        self.count = 0
        self._mean: np.ndarray = np.zeros(())
        self._scatter: np.ndarray = np.zeros(())
        self._root = None

    def update(self, features: ArrayLike) -> Self:
        """Adds a batch of features.

        Args:
            features: real array `[m, d]`, m >= 1, finite.

        Returns:
            The moments themselves.

        Raises:
            TypeError: if the features are not real numbers.
            ValueError: if they are not `[m, d]`, not finite, or of another
                dimension than those before.
        """
        features = as_features("features", features, minimum=1)
        if self.count:
            check_same_width(
                "features and those before", features, self._scatter
            )
        mean = features.mean(axis=0)
        deviations = features - mean
        total = self.count + len(features)
        shift = mean - self._mean
        self._mean = self._mean + shift * (len(features) / total)
        self._scatter = self._scatter + deviations.T @ deviations
        weight = self.count * len(features) / total
        self._scatter += np.outer(weight * shift, shift)
        self.count = total
        self._root = None
        return self

    @property
    def mean(self) -> np.ndarray:
        self._check_count(1)
        return self._mean

    @property
    def covariance(self) -> np.ndarray:
        self._check_count(2)
        # The product with the inverse rounds as np.cov does.
        return self._scatter * (1.0 / (self.count - 1))

    @property
    def root(self) -> np.ndarray:
        if self._root is None:
            values, vectors = np.linalg.eigh(self.covariance)
            scales = np.sqrt(np.clip(values, 0.0, None))
            self._root = (vectors * scales) @ vectors.T
        return self._root

    def _check_count(self, minimum):
        if self.count < minimum:
            raise ValueError(
                f"Expected moments of n >= {minimum} features; "
                f"received: n = {self.count}."
            )
