"""Euclidean distances between sets of points, in bounded memory."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist
from sklearn.metrics.pairwise import euclidean_distances

_CHUNK_SIZE = 2**22  # pairs of points held at a time: 32 MiB of float64
_NARROW = 256  # dimensions


def as_points(name: str, values: ArrayLike) -> np.ndarray:
    """Flattens each entry of an array to a point.

    Args:
        name: str. What the array is called in error messages.
        values: real array `[n, ...]` of rank 2 or more, n >= 1, finite.

    Returns:
        float64 array `[n, d]`; not a copy where the array is one already.

    Raises:
        TypeError: if the array is not of real numbers.
        ValueError: if it is of rank 0 or 1, empty, or not finite.
    """
    values = np.asarray(values)
    if values.dtype.kind not in "fiu":
        raise TypeError(
            f"Expected {name} to hold real numbers; "
            f"received: dtype {values.dtype}."
        )
    if values.ndim < 2 or values.size == 0:
        raise ValueError(
            f"Expected {name} of shape [n, ...] with n >= 1; "
            f"received: shape {values.shape}."
        )
    points = values.reshape(len(values), -1).astype(np.float64, copy=False)
    if not np.isfinite(points).all():
        raise ValueError(
            f"Expected finite {name}; received: "
            f"{np.count_nonzero(~np.isfinite(points))} non-finite values."
        )
    return points


def as_features(name: str, values: ArrayLike, minimum: int = 2) -> np.ndarray:
    """Checks an array `[n, d]` of features, n >= minimum; see `as_points`."""
    points = as_points(name, values)
    shape = np.shape(values)
    if len(shape) != 2 or shape[0] < minimum:
        raise ValueError(
            f"Expected {name} of shape [n, d] with n >= {minimum}; "
            f"received: shape {shape}."
        )
    return points


def check_same_width(names, *sets):
    """Raises ValueError unless all sets of points have one dimension."""
    widths = [points.shape[1] for points in sets]
    if len(set(widths)) > 1:
        raise ValueError(
            f"Expected {names} of equal dimension; received: {widths}."
        )


def row_slices(points, reference):
    """Yields slices of points, few enough to be paired with all references."""
    step = max(1, _CHUNK_SIZE // len(reference))
    for start in range(0, len(points), step):
        yield slice(start, min(start + step, len(points)))


def chunked_distances(points, reference):
    """Yields distances of consecutive slices of points to all references.

    Of few dimensions, differences are squared directly, so that the distance
    between equal points is exactly zero. Of many, a product of matrices is many
    times as fast, and off by 1e-8 of the points' lengths at most.

    Args:
        points: float64 array `[n, d]`.
        reference: float64 array `[m, d]`.

    Yields:
        Pairs of a slice and the float64 array `[slice length, m]`.
    """
    wide = points.shape[1] > _NARROW
    distances = euclidean_distances if wide else cdist
    for rows in row_slices(points, reference):
        yield rows, distances(points[rows], reference)


def nearest_references(
    points: ArrayLike, reference: ArrayLike, k: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the references that are nearest to each point, nearest first.

    Args:
        points: real array `[n, ...]`, finite; entries are flattened.
        reference: real array `[m, ...]`, finite.
        k: int from 1 to m.

    Returns:
        Tuple of the references' indices, int64 `[n, k]`, and their distances,
        float64 `[n, k]`.

    Raises:
        TypeError: if an input does not hold real numbers.
        ValueError: if a shape does not fit, an input is not finite, or k is
            not from 1 to m.

    Example:

    >>> from clel_tf.metrics import nearest_references
    >>> nearest_references([[4.0]], [[0.0], [3.0], [6.0]], k=2)
    (array([[1, 2]]), array([[1., 2.]]))
    """
    points = as_points("points", points)
    reference = as_points("reference", reference)
    check_same_width("points and reference", points, reference)
    if not 1 <= k <= len(reference):
        raise ValueError(
            f"Expected k from 1 to {len(reference)}; received: {k}."
        )

    indices = np.empty((len(points), k), np.int64)
    found = np.empty((len(points), k))
    for rows, distances in chunked_distances(points, reference):
        nearest = np.argpartition(distances, k - 1, axis=1)[:, :k]
        order = np.take_along_axis(distances, nearest, axis=1).argsort(axis=1)
        indices[rows] = np.take_along_axis(nearest, order, axis=1)
        found[rows] = np.take_along_axis(distances, indices[rows], axis=1)
    return indices, found


def nearest_distances(points, reference):
    """Distance of each point to its nearest reference, float64 `[n]`."""
    _, distances = nearest_references(points, reference)
    return distances[:, 0]
