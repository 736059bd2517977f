import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import entropy

from clel_tf.metrics import inception_score


def random_logits(n=40, classes=7, seed=0):
    return 3.0 * np.random.default_rng(seed).normal(size=(n, classes))


def score_by_entropies(logits):
    # KL(p || mean) averages to the entropy of the mean less the mean entropy.
    p = softmax(logits, axis=1)
    return np.exp(entropy(p.mean(axis=0)) - entropy(p, axis=1).mean())


def test_sure_and_balanced_judgements_score_the_number_of_classes():
    logits = np.tile(50.0 * np.eye(5), (4, 1))
    value, deviation = inception_score(logits, splits=4)
    assert value == pytest.approx(5.0, rel=1e-12)
    assert deviation == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("row", [[0.0, 0.0, 0.0], [9.0, 0.0, -3.0]])
def test_equal_judgements_score_one(row):
    value, deviation = inception_score(np.tile(row, (20, 1)))
    assert value == pytest.approx(1.0, rel=1e-12)
    assert deviation == pytest.approx(0.0, abs=1e-12)


def test_one_split_is_the_score_of_all():
    logits = random_logits()
    value, deviation = inception_score(logits, splits=1)
    assert value == pytest.approx(score_by_entropies(logits), rel=1e-12)
    assert deviation == 0.0


def test_mean_and_deviation_are_those_of_the_splits():
    logits = random_logits(n=11)  # ends at 11/3, 22/3 and 11, rounded down
    scores = [
        score_by_entropies(part)
        for part in (logits[:3], logits[3:7], logits[7:])
    ]
    value, deviation = inception_score(logits, splits=3)
    assert value == pytest.approx(np.mean(scores), rel=1e-12)
    assert deviation == pytest.approx(np.std(scores), rel=1e-10)


def test_splits_follow_the_given_order():
    logits = np.repeat(50.0 * np.eye(4), 10, axis=0)  # sorted by class
    assert inception_score(logits, 4).value == pytest.approx(1.0, rel=1e-12)
    mixed = logits.reshape(4, 10, 4).swapaxes(0, 1).reshape(40, 4)
    assert inception_score(mixed, 4).value > 3.0


def test_only_differences_of_logits_count():
    logits = random_logits()
    shifted = logits + 1e3 * np.arange(40)[:, np.newaxis]
    np.testing.assert_allclose(
        inception_score(shifted), inception_score(logits), rtol=1e-9
    )


@pytest.mark.parametrize("scale", [1e3, 1e5, 1e30])
def test_probabilities_that_vanish_do_not_matter(scale):
    logits = np.zeros([6, 5])
    logits[:, :3] = scale * np.tile(np.eye(3), (2, 1))
    logits[:, 3:] = -scale  # a probability of 0, in every row
    score = inception_score(logits, splits=2).value
    assert score == pytest.approx(3.0, rel=1e-12)


@pytest.mark.parametrize(
    "logits, splits, error, message",
    [
        (random_logits(9), 10, ValueError, "splits from 1 to 9; received: 10"),
        (random_logits(9), 0, ValueError, "received: 0"),
        (np.zeros([1, 3]), 1, ValueError, "logits of .* n >= 2"),
        (np.zeros([4, 3, 1]), 1, ValueError, r"logits of shape \[n, d\]"),
        (np.full([4, 3], np.nan), 1, ValueError, "finite logits"),
        (np.full([4, 3], "a"), 1, TypeError, "logits to hold real numbers"),
    ],
)
def test_rejects(logits, splits, error, message):
    with pytest.raises(error, match=message):
        inception_score(logits, splits)
