"""What an extractor gives."""

from typing import NamedTuple

import numpy as np


class Features(NamedTuple):
    """Features of images, a row each.

    Attributes:
        features: float array `[n, d]`.
        logits: float array `[n, classes]` of the classes' unnormalised log
            probabilities, or None.
    """

    features: np.ndarray
    logits: np.ndarray | None = None
