import fractions
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from clel_tf.models.common import graph
from clel_tf.ood.ood_score import OODScore

_GRAPHS = 8  # scores whose graphs are kept


class OODDetection:
    """How a model tells images unlike those that it was trained on.

    A part of `JointEnergyModel`, which says what a model has to set.
    """

    beta: float
    ood_score: OODScore
    ood_threshold: float | None
    _batched: Callable
    _tracker: Any  # Keras's

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._score_graph = functools.lru_cache(_GRAPHS)(self._make_score_graph)

    def __setattr__(self, name, value):
        if name == "ood_score":
            self._replace_score(_check_score(value))
        else:
            super().__setattr__(name, value)

    def score(
        self,
        images: ArrayLike,
        batch_size: int = 256,
        score: OODScore | None = None,
    ) -> np.ndarray:
        """Out-of-distribution score: the higher, the less like the data.

        Args:
            images: uint8 or float array `(n, height, width, channels)`.
            batch_size: int. Images at a time.
            score: None for the model's `ood_score`, which is `JointEnergy` if
                not chosen otherwise, or another `OODScore` of `clel_tf.ood`.

        Returns:
            float32 NumPy array `(n,)`.

        Raises:
            ValueError: if the score has still to learn of training images.
        """
        score = self.ood_score if score is None else _check_score(score)
        rows = self._score_graph(score, score.version, self.beta)
        return self._batched(lambda x, _: rows(x), images, batch_size)

    def calibrate_ood(
        self,
        held_out: np.ndarray,
        false_alarm_rate: float = 0.05,
        score: OODScore | None = None,
        training_images: ArrayLike | None = None,
    ) -> float:
        """Sets the score, and a threshold that few images of the data exceed.

            threshold = the ceil((1 - rate) (n + 1))-th smallest of n scores

        A new image exceeds it with a probability of at most `rate`, on average
        over the draws of the `n` held-out images, if all are drawn alike, and
        whatever the model is worth. The rate that one threshold has differs
        from that by about `sqrt(rate / n)`.

        It holds for the weights, and for what the score has learned, as they
        are now.

        Args:
            held_out: uint8 or float array `(n, height, width, channels)`, of
                the data, and seen neither in training nor by the score.
            false_alarm_rate: float in (0, 1).
            score: `OODScore`, or None for the one that the model has.
            training_images: None, or array as `held_out`, of the training data,
                which the score adapts to first.

        Returns:
            float, the threshold; scores above it are out of distribution.

        Raises:
            ValueError: if there are fewer than `1 / rate - 1` held-out images,
                their scores are not finite, or the score has to learn of
                training images and there are none.

        Example:

        >>> model = clel_tf.models.CLEL.from_preset("digits")
        >>> digits = clel_tf.data.load("digits")
        >>> threshold = model.calibrate_ood(digits.x_test, 0.01)
        >>> bool(np.mean(model.is_ood(digits.x_test)) <= 0.01)
        True

        Reference:
            [Vovk, Gammerman, Shafer: Algorithmic Learning in a Random World,
            2005](https://doi.org/10.1007/b106715); [Bates et al.: Testing for
            Outliers with Conformal p-Values, Annals of Statistics 2023]
            (https://arxiv.org/abs/2104.08279)
        """
        score = self.ood_score if score is None else _check_score(score)
        rank = _conformal_rank(len(held_out), false_alarm_rate)
        if training_images is not None:
            score.adapt(self, training_images)
        scores = self.score(held_out, score=score)
        if not np.all(np.isfinite(scores)):
            raise ValueError(
                "Expected finite scores of the held-out images; received NaN "
                "or infinity."
            )
        self.ood_score = score
        self.ood_threshold = float(np.sort(scores)[rank - 1])
        return self.ood_threshold

    def is_ood(self, images: ArrayLike, batch_size: int = 256) -> np.ndarray:
        """Whether images are out of distribution, by score and threshold.

        Args:
            images: uint8 or float array `(n, height, width, channels)`.
            batch_size: int. Images at a time.

        Returns:
            bool NumPy array `(n,)`.

        Raises:
            ValueError: if the model has no threshold.
        """
        if self.ood_threshold is None:
            raise ValueError(
                "Expected a model with an `ood_threshold`, which "
                "`calibrate_ood` sets; received none."
            )
        return self.score(images, batch_size) > self.ood_threshold

    def _make_score_graph(self, score, version, beta):
        """Kept for what the graph holds of the score and the model."""
        return graph(functools.partial(score.score_rows, self))

    def _replace_score(self, score):
        old = self.__dict__.get("ood_score")
        # Keras lets nobody take a part out of a model, or add one to a model
        # that it has built itself.
        tracker = self._tracker
        locked = tracker.locked
        tracker.unlock()
        tracker.untrack(old)
        super().__setattr__("ood_score", score)
        if locked:
            tracker.lock()
        if score is not old:
            self.ood_threshold = None  # it was one of the old score


def _check_score(score):
    if not isinstance(score, OODScore):
        raise TypeError(
            f"Expected an `OODScore` of `clel_tf.ood`; received: {score!r}."
        )
    return score


def _conformal_rank(count, rate):
    """Which of so many sorted scores is the threshold, counted from 1."""
    if not 0 < rate < 1:
        raise ValueError(
            f"Expected `false_alarm_rate` in (0, 1); received: {rate!r}."
        )
    # The rate as it is written: as floats, 0.29 * 100 is less than 29.
    rate = fractions.Fraction(str(float(rate)))
    above = math.floor(rate * (count + 1))
    if not above:
        raise ValueError(
            f"Expected at least {math.ceil(1 / rate) - 1} held-out images, for "
            f"a false-alarm rate of {float(rate)}; received: {count}."
        )
    return count + 1 - above
