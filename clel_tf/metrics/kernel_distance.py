"""Kernel distance between two sets of features."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from clel_tf.metrics.distances import as_features
from clel_tf.metrics.distances import check_same_width
from clel_tf.metrics.distances import row_slices


class KernelDistance(NamedTuple):
    """Result of `kernel_distance`.

    Attributes:
        value: float. The squared distance; may be negative.
        standard_error: float, at least 0. Of the value over other draws of
            both sets.
    """

    value: float
    standard_error: float


def kernel_distance(a: ArrayLike, b: ArrayLike) -> KernelDistance:
    """Computes the squared maximum mean discrepancy of a cubic kernel.

        k(x, y) = (x . y / d + 1)^3
        value   = mean_{i != j} k(a_i, a_j) + mean_{i != j} k(b_i, b_j)
                  - 2 mean_{i, j} k(a_i, b_j)

    With Inception's features this is the kernel Inception distance. It is
    unbiased at any n, so that figures at different n may be compared, and often
    negative where both sets have one distribution. It is taken of all features:
    the usual mean over random subsets has the same expectation, a larger
    variance, and depends on the draw.

    The standard error is the jackknife's: each feature of either set is left
    out once. With h_i = sum_{j != i} k(a_i, a_j) / (n - 2) - mean_j k(a_i, b_j)
    and its like for b this is sqrt(4 var(h_a) / n + 4 var(h_b) / m). Where both
    sets have one distribution it is up to about sqrt(2) times too large.

    Args:
        a: real array `[n, d]` of features, n >= 3, finite.
        b: real array `[m, d]` of features, m >= 3, finite.

    Returns:
        A `KernelDistance`.

    Raises:
        TypeError: if an input does not hold real numbers.
        ValueError: if an input is not `[n, d]` with n >= 3, is not finite, or
            the dimensions differ.

    Example:

    >>> import numpy as np
    >>> from clel_tf.metrics import kernel_distance
    >>> a = np.array([[-1.0], [0.0], [1.0]])
    >>> value, standard_error = kernel_distance(a, a + 2.0)
    >>> round(value, 3), round(standard_error, 3)
    (124.667, 193.018)

    Reference:
        [Binkowski et al.: Demystifying MMD GANs, ICLR 2018](
        https://arxiv.org/abs/1801.01401);
        [Arvesen: Jackknifing U-Statistics, Annals of Mathematical Statistics
        1969](https://doi.org/10.1214/aoms/1177697287)
    """
    a = as_features("a", a, minimum=3)  # a pair is left when one is left out
    b = as_features("b", b, minimum=3)
    check_same_width("a and b", a, b)

    of_a, of_b = _sums_across(a, b)
    value, variance = 0.0, 0.0
    for points, across in ((a, of_a / len(b)), (b, of_b / len(a))):
        n, within = len(points), _sums_within(points)
        value += np.mean(within / (n - 1) - across)
        variance += 4.0 / n * np.var(within / (n - 2) - across, ddof=1)
    return KernelDistance(float(value), float(np.sqrt(variance)))


def _kernel(x, y):
    return (x @ y.T / x.shape[1] + 1.0) ** 3


def _sums_across(a, b):
    """Sums of the kernel of each a with all b, and of each b with all a."""
    of_a, of_b = np.empty(len(a)), np.zeros(len(b))
    for rows in row_slices(a, b):
        kernel = _kernel(a[rows], b)
        of_a[rows] = kernel.sum(axis=1)
        of_b += kernel.sum(axis=0)
    return of_a, of_b


def _sums_within(points):
    """Sums of the kernel of each point with all others."""
    sums = np.empty(len(points))
    for rows in row_slices(points, points):
        kernel = _kernel(points[rows], points)
        np.fill_diagonal(kernel[:, rows], 0.0)
        sums[rows] = kernel.sum(axis=1)
    return sums
