"""Share of samples that copy a reference image."""

import numpy as np
from numpy.typing import ArrayLike

from clel_tf.metrics.distances import as_points
from clel_tf.metrics.distances import check_same_width
from clel_tf.metrics.distances import nearest_distances


def memorised(
    samples: ArrayLike,
    reference: ArrayLike,
    held_out: ArrayLike,
    fraction: float = 0.25,
) -> float:
    """Computes the share of samples much closer to the data than new data is.

        mean_j [d(sample_j) < fraction * median_i d(held_out_i)]

    where d is the Euclidean distance to the nearest reference image.

    Args:
        samples: real array `[n, ...]`, finite; entries are flattened.
        reference: real array `[m, ...]`, finite. The training images.
        held_out: real array `[h, ...]`, finite. Images of the same source
            that were not trained on.
        fraction: float > 0. Part of the median distance that makes a copy.

    Returns:
        float in [0, 1].

    Raises:
        TypeError: if an input does not hold real numbers.
        ValueError: if a shape does not fit, an input is not finite, or
            `fraction` is not positive.

    Example:

    >>> import numpy as np
    >>> from clel_tf.metrics import memorised
    >>> reference = np.array([[0.0], [10.0]])
    >>> held_out = np.array([[4.0], [6.0], [12.0]])
    >>> memorised(np.array([[0.9], [1.1]]), reference, held_out)
    0.5
    """
    samples = as_points("samples", samples)
    reference = as_points("reference", reference)
    held_out = as_points("held_out", held_out)
    check_same_width(
        "samples, reference and held_out", samples, reference, held_out
    )
    if not fraction > 0:
        raise ValueError(f"Expected fraction > 0; received: {fraction}.")

    usual = np.median(nearest_distances(held_out, reference))
    nearest = nearest_distances(samples, reference)
    return float(np.mean(nearest < fraction * usual))
