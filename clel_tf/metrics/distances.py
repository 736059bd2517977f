"""Euclidean distances between sets of points, in bounded memory."""

import numpy as np
from scipy.spatial.distance import cdist

_CHUNK_SIZE = 2**22  # distances held at a time: 32 MiB of float64


def as_points(name, values):
    """Flattens each entry of an array to a point.

    Args:
        name: str. What the array is called in error messages.
        values: real array `[n, ...]` of rank 2 or more, n >= 1, finite.

    Returns:
        float64 array `[n, d]`.

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
    points = values.reshape(len(values), -1).astype(np.float64)
    if not np.isfinite(points).all():
        raise ValueError(
            f"Expected finite {name}; received: "
            f"{np.count_nonzero(~np.isfinite(points))} non-finite values."
        )
    return points


def check_same_width(names, *sets):
    """Raises ValueError unless all sets of points have one dimension."""
    widths = [points.shape[1] for points in sets]
    if len(set(widths)) > 1:
        raise ValueError(
            f"Expected {names} of equal dimension; received: {widths}."
        )


def chunked_distances(points, reference):
    """Yields distances of consecutive slices of points to all references.

    Differences are squared directly, not expanded into products, so that the
    distance between equal points is exactly zero.

    Args:
        points: float64 array `[n, d]`.
        reference: float64 array `[m, d]`.

    Yields:
        Pairs of a slice and the float64 array `[slice length, m]`.
    """
    step = max(1, _CHUNK_SIZE // len(reference))
    for start in range(0, len(points), step):
        rows = slice(start, min(start + step, len(points)))
        yield rows, cdist(points[rows], reference)


def nearest_distances(points, reference):
    """Distance of each point to its nearest reference, float64 `[n]`."""
    chunks = chunked_distances(points, reference)
    return np.concatenate([distance.min(axis=1) for _, distance in chunks])
