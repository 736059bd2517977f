import fractions

import numpy as np
import pytest
import tensorflow as tf

from clel_tf import models
from clel_tf import ood


class FirstPixel(ood.OODScore):
    def score_rows(self, model, images):
        return images[:, 0, 0, 0]


def with_scores(scores):
    scores = np.reshape(scores, (-1, 1, 1, 1))
    return np.broadcast_to(scores, (len(scores), 8, 8, 1)).astype("float32")


@pytest.fixture(scope="module")
def judge(model):
    return models.CLEL(
        model.energy_network, model.encoder, ood_score=FirstPixel(), levels=17
    )


@pytest.mark.parametrize(
    ("count", "rate", "rank"),
    [
        (19, 0.05, 19),
        (20, 0.05, 20),
        (39, 0.05, 38),
        (99, 0.05, 95),
        (100, 0.05, 96),
        (99, 0.29, 71),  # 0.29 * 100 is below 29 in floating point
        (99, np.float32(0.25), 75),
        (1, 0.5, 1),
        (1, 0.999, 1),
        (9, 0.95, 1),
    ],
)
def test_the_threshold_is_a_conformal_quantile(judge, count, rate, rank):
    exact = 1 - fractions.Fraction(str(rate))
    assert rank == -(-exact * (count + 1) // 1)  # its ceiling
    scores = np.random.default_rng(count).permutation(count) / count
    threshold = judge.calibrate_ood(with_scores(scores), rate)
    assert threshold == judge.ood_threshold == np.float32((rank - 1) / count)
    assert type(threshold) is float


@pytest.mark.parametrize(("rate", "needed"), [(0.05, 19), (0.3, 3), (0.01, 99)])
def test_too_few_images_for_a_rate_are_refused(judge, rate, needed):
    images = with_scores(np.linspace(0, 1, needed))
    judge.ood_threshold = None
    with pytest.raises(ValueError, match=f"at least {needed} held-out images"):
        judge.calibrate_ood(images[1:], rate)
    assert judge.ood_threshold is None
    judge.calibrate_ood(images, rate)
    assert judge.ood_threshold == 1.0


@pytest.mark.parametrize("values", [None, 5])
def test_false_alarms_are_no_more_than_asked_for(judge, values):
    # With scores uniform on [0, 1], a threshold's rate of false alarms is one
    # minus the threshold, and its mean over the draws is known.
    generator = np.random.default_rng(0)
    count, rate, rates = 30, 0.1, []
    for _ in range(400):
        scores = generator.uniform(size=count)
        if values is not None:  # many ties
            scores = np.floor(values * scores) / values
        threshold = judge.calibrate_ood(with_scores(scores), rate)
        if values is not None:  # of values 0/5 to 4/5, those above it
            threshold = np.round(values * threshold + 1) / values
        rates.append(1 - threshold)
    error = np.std(rates) / np.sqrt(len(rates))
    assert error < 0.003
    expected = 3 / 31  # floor(0.1 * 31) of 31 ranks
    if values is None:
        assert abs(np.mean(rates) - expected) < 3 * error
    else:
        assert np.mean(rates) < rate


def test_what_is_above_the_threshold_is_out_of_distribution(judge):
    judge.calibrate_ood(with_scores(np.linspace(0, 0.5, 19)))
    judged = judge.is_ood(with_scores([0.0, 0.5, 0.50001, 1.0]))
    assert judged.dtype == bool
    assert judged.tolist() == [False, False, True, True]


def test_a_model_without_a_threshold_judges_nothing(judge):
    judge.ood_threshold = None
    with pytest.raises(ValueError, match="calibrate_ood"):
        judge.is_ood(with_scores([0.5]))


def test_scores_learn_of_training_images_where_they_need_to(
    judge, train, images
):
    held_out = np.random.default_rng(4).uniform(size=(20, 8, 8, 1))
    before, score = judge.ood_score, ood.LatentNeighbors(k=2)
    with pytest.raises(ValueError, match="as `training_images`"):
        judge.calibrate_ood(held_out, score=score)
    assert judge.ood_score is before
    threshold = judge.calibrate_ood(
        held_out, score=score, training_images=train
    )
    assert judge.ood_score is score
    assert threshold == judge.score(held_out).max()
    # It has learned, and does not need them again.
    threshold = judge.calibrate_ood(held_out[:10], 0.1)
    assert threshold == judge.score(held_out[:10]).max()
    adapted = ood.LatentNeighbors(k=2)
    adapted.adapt(judge, train)
    np.testing.assert_array_equal(
        judge.score(images), judge.score(images, score=adapted)
    )
    judge.ood_score = before


def test_scores_that_are_no_numbers_are_refused(judge):
    class Logarithm(ood.OODScore):
        def score_rows(self, model, images):
            return tf.math.log(images[:, 0, 0, 0])

    before = judge.ood_score
    with pytest.raises(ValueError, match="finite scores"):
        judge.calibrate_ood(
            with_scores(np.linspace(0, 1, 30)), score=Logarithm()
        )
    assert judge.ood_score is before


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, np.nan])
def test_rates_are_between_0_and_1(judge, rate):
    with pytest.raises(ValueError, match="false_alarm_rate"):
        judge.calibrate_ood(with_scores(np.linspace(0, 1, 30)), rate)
