"""How well a score tells what is out of distribution, and how surely."""

import functools
import operator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from clel_tf.metrics.distances import as_points

_CHUNK_SIZE = 2**15  # counts held at a time: arrays that caches hold


class Interval(NamedTuple):
    """A figure and its confidence interval.

    Attributes:
        value: float. The figure.
        low: float. Lower end of the interval.
        high: float. Upper end of the interval.
    """

    value: float
    low: float
    high: float


class Detection(NamedTuple):
    """Result of `detection`, or of `detection_difference`.

    Attributes:
        auroc: `Interval` in [0, 1]. Area under the ROC curve; 0.5 is chance.
        aupr_out: `Interval` in [0, 1]. Average precision, OOD the positives.
        aupr_in: `Interval` in [0, 1]. Average precision, in-distribution
            images the positives.
        fpr_at_95_tpr: `Interval` in [0, 1]. Share of in-distribution images
            flagged where at least 95% of the OOD ones are; the smaller, the
            better.
    """

    auroc: Interval
    aupr_out: Interval
    aupr_in: Interval
    fpr_at_95_tpr: Interval


class _Ranking(NamedTuple):
    """Numbers of the scores of two sets, among their values in rising order."""

    inside: np.ndarray
    ood: np.ndarray
    num_values: int

    @property
    def sizes(self):
        """Tuple of ints `(n, m)`."""
        return len(self.inside), len(self.ood)

    def count_rows(self, rows):
        """Yields how often each value is among rows `[resamples, images]`."""
        for numbers, chosen in zip((self.inside, self.ood), rows):
            shape = (len(chosen), self.num_values)
            first = self.num_values * np.arange(len(chosen))[:, np.newaxis]
            cells = (first + numbers[chosen]).ravel()
            yield np.bincount(cells, minlength=np.prod(shape)).reshape(shape)


def detection(
    in_scores: ArrayLike,
    ood_scores: ArrayLike,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Detection:
    """Computes how well scores tell out-of-distribution (OOD) images.

    The higher the score, the more out of distribution. An image is flagged
    where its score is at least a threshold t. With TPR(t) the share of OOD
    images flagged, FPR(t) that of in-distribution ones and P(t) the share of
    OOD ones among the flagged,

        auroc         = Pr(s_ood > s_in) + Pr(s_ood = s_in) / 2
        aupr_out      = sum_t (TPR(t) - TPR(next larger t)) P(t)
        aupr_in       = the same of -s, with the sets in exchanged roles
        fpr_at_95_tpr = min FPR(t) over all t with TPR(t) >= 0.95

    exactly, tied scores included. The two AUPRs depend on the sizes of the
    sets: compare them at equal ones.

    Intervals are those of the percentile bootstrap: both sets are resampled,
    each for itself, with replacement. They tell what other images of the same
    kinds would change, not another training; and from images that are told
    without an error, no resample makes one.

    Args:
        in_scores: real array `[n]`, n >= 2, finite. Of in-distribution images.
        ood_scores: real array `[m]`, m >= 2, finite. Of OOD images.
        confidence: float in (0, 1). Of the intervals. Defaults to 0.95.
        resamples: int, at least 1. Defaults to 1000.
        seed: int, at least 0, of the resamples. Defaults to 0.

    Returns:
        A `Detection` of four `Interval`s.

    Raises:
        TypeError: if scores are not real numbers, or `resamples` is no int.
        ValueError: if a set is not `[n]` with n >= 2, is not finite, or a
            number is out of range.

    Example:

    >>> from clel_tf.metrics import detection
    >>> result = detection([0.1, 0.2, 0.6, 0.3], [0.7, 0.5])
    >>> result.auroc.value, result.fpr_at_95_tpr.value
    (0.875, 0.25)

    Reference:
        [Hendrycks and Gimpel: A Baseline for Detecting Misclassified and
        Out-of-Distribution Examples in Neural Networks, ICLR 2017](
        https://arxiv.org/abs/1610.02136);
        [Efron and Tibshirani: An Introduction to the Bootstrap, 1993](
        https://doi.org/10.1201/9780429246593)
    """
    ranking = _rank("in_scores", in_scores, "ood_scores", ood_scores)
    return _bootstrap([ranking], confidence, resamples, seed)


def detection_difference(
    first: tuple[ArrayLike, ArrayLike],
    second: tuple[ArrayLike, ArrayLike],
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Detection:
    """Computes how much better one score detects than another does.

        figure(first) - figure(second)

    for the figures of `detection`, of two scores of the same images. A
    resample takes the same images for both scores, so that what makes images
    easy or hard for either cancels: the interval is narrower than those of the
    two scores suggest.

    Args:
        first: pair of real arrays `[n]` and `[m]`, the scores of
            in-distribution and OOD images, as `detection` takes them.
        second: pair of real arrays `[n]` and `[m]`, another score of the same
            images, in the same order.
        confidence: float in (0, 1). Of the intervals. Defaults to 0.95.
        resamples: int, at least 1. Defaults to 1000.
        seed: int, at least 0, of the resamples. Defaults to 0.

    Returns:
        A `Detection` of four `Interval`s of differences in [-1, 1].

    Raises:
        TypeError: as `detection`.
        ValueError: as `detection`, and if the scores are not of equally many
            images.

    Example:

    >>> from clel_tf.metrics import detection_difference
    >>> first = [0.1, 0.2, 0.6, 0.3], [0.7, 0.5]
    >>> second = [0.1, 0.2, 0.6, 0.3], [0.7, 0.15]
    >>> detection_difference(first, second).auroc.value
    0.25
    """
    rankings = [
        _rank(f"in_scores of {name}", inside, f"ood_scores of {name}", ood)
        for name, (inside, ood) in (("first", first), ("second", second))
    ]
    sizes = [ranking.sizes for ranking in rankings]
    if sizes[0] != sizes[1]:
        raise ValueError(
            "Expected first and second of equally many in_scores and "
            f"ood_scores; received: {sizes[0]} and {sizes[1]}."
        )
    return _bootstrap(rankings, confidence, resamples, seed)


def _rank(in_name, in_scores, ood_name, ood_scores):
    in_scores = _as_scores(in_name, in_scores)
    ood_scores = _as_scores(ood_name, ood_scores)
    values, numbers = np.unique(
        np.concatenate([in_scores, ood_scores]), return_inverse=True
    )
    inside, ood = np.split(numbers, [len(in_scores)])
    return _Ranking(inside, ood, len(values))


def _as_scores(name, scores):
    scores = np.asarray(scores)
    if scores.ndim != 1 or len(scores) < 2:
        raise ValueError(
            f"Expected {name} of shape [n] with n >= 2; "
            f"received: shape {scores.shape}."
        )
    return as_points(name, scores[:, np.newaxis])[:, 0]


def _bootstrap(rankings, confidence, resamples, seed):
    """`Detection` by one ranking, or by a first one less a second one."""
    if not 0 < confidence < 1:
        raise ValueError(
            f"Expected confidence in (0, 1); received: {confidence}."
        )
    if operator.index(resamples) < 1:
        raise ValueError(
            f"Expected resamples of at least 1; received: {resamples}."
        )
    sizes = rankings[0].sizes
    value = _compare(rankings, [np.arange(n)[np.newaxis] for n in sizes])
    # One generator a set, so that chunks of any size draw the same.
    generators = np.random.default_rng(seed).spawn(len(sizes))
    step = max(1, _CHUNK_SIZE // sum(sizes))
    figures = []
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        rows = [
            generator.integers(n, size=[count, n])
            for generator, n in zip(generators, sizes)
        ]
        figures.append(_compare(rankings, rows))
    tail = (1 - confidence) / 2
    ends = np.quantile(np.concatenate(figures), [tail, 1 - tail], axis=0)
    intervals = np.concatenate([value, ends]).T.tolist()
    return Detection(*(Interval(*interval) for interval in intervals))


def _compare(rankings, rows):
    """Figures of resamples, by the first ranking less those by the second.

    Args:
        rankings: One or two `_Ranking`s.
        rows: Two int arrays `[resamples, n]`, of in-distribution and of OOD
            images.

    Returns:
        float64 array `[resamples, 4]`.
    """
    figures = (_figures(*ranking.count_rows(rows)) for ranking in rankings)
    return functools.reduce(np.subtract, figures)


def _figures(inside, ood):
    """The four figures of sets that are given by counts.

    Args:
        inside: int64 array `[..., values]`. How many in-distribution images
            have each score, in rising order of the scores.
        ood: int64 array `[..., values]`. How many OOD images have it.

    Returns:
        float64 array `[..., 4]`.
    """
    num_inside, num_ood = inside.sum(-1), ood.sum(-1)
    inside_up_to, ood_up_to = inside.cumsum(-1), ood.cumsum(-1)
    inside_flagged = num_inside[..., np.newaxis] - inside_up_to + inside
    ood_flagged = num_ood[..., np.newaxis] - ood_up_to + ood
    # All in integers before the last division, the 95% too.
    wins = (ood * (2 * inside_up_to - inside)).sum(-1)
    is_enough = 20 * ood_flagged >= 19 * num_ood[..., np.newaxis]
    alarms = np.where(is_enough, inside_flagged, inside_flagged[..., :1])
    return np.stack(
        [
            wins / (2 * num_inside * num_ood),
            _average_precision(ood, ood_flagged, inside_flagged),
            _average_precision(inside, inside_up_to, ood_up_to),
            alarms.min(-1) / num_inside,
        ],
        axis=-1,
    )


def _average_precision(positives, true, false):
    """Mean over positives of the precision where they are just flagged."""
    precision = true / np.maximum(true + false, 1)
    return (positives * precision).sum(-1) / positives.sum(-1)
