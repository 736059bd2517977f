"""Inception score of a classifier's logits."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_softmax
from scipy.special import logsumexp

from clel_tf.metrics.distances import as_features


class InceptionScore(NamedTuple):
    """Result of `inception_score`.

    Attributes:
        value: float, from 1 to the number of classes. Mean over the splits.
        standard_deviation: float. Of the splits' scores, not of the value.
    """

    value: float
    standard_deviation: float


def inception_score(logits: ArrayLike, splits: int = 10) -> InceptionScore:
    """Computes how sure and how varied a classifier's judgements are.

        p_i   = softmax(logits_i)
        score = exp(mean_i KL(p_i || mean_j p_j))

    of each of `splits` parts of equal size (but for one image), in the given
    order: images have to come in no order of their own. It is biased downwards
    at small n, so compare only figures at equal n and splits.

    Args:
        logits: real array `[n, classes]`, n >= 2, finite.
        splits: int from 1 to n.

    Returns:
        An `InceptionScore`.

    Raises:
        TypeError: if the logits are not real numbers.
        ValueError: if they are not `[n, classes]` with n >= 2 or not finite,
            or `splits` is not from 1 to n.

    Example:

    >>> import numpy as np
    >>> from clel_tf.metrics import inception_score
    >>> sure = 100.0 * np.eye(4)
    >>> round(inception_score(sure, splits=1).value, 6)
    4.0

    Reference:
        [Salimans et al.: Improved Techniques for Training GANs, NeurIPS 2016](
        https://arxiv.org/abs/1606.03498);
        [Barratt, Sharma: A Note on the Inception Score, 2018](
        https://arxiv.org/abs/1801.01973)
    """
    logits = as_features("logits", logits)
    if not 1 <= splits <= len(logits):
        raise ValueError(
            f"Expected splits from 1 to {len(logits)}; received: {splits}."
        )
    ends = np.arange(1, splits) * len(logits) // splits
    parts = np.split(log_softmax(logits, axis=1), ends)
    scores = [_score(part) for part in parts]
    return InceptionScore(float(np.mean(scores)), float(np.std(scores)))


def _score(log_p):
    # By logarithms throughout: of a class that is nowhere likely, the mean
    # probability is 0 and its logarithm infinite.
    log_mean = logsumexp(log_p, axis=0) - np.log(len(log_p))
    divergences = np.sum(np.exp(log_p) * (log_p - log_mean), axis=1)
    return np.exp(divergences.mean())
