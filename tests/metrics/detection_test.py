import importlib
import itertools
import tracemalloc

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score
from sklearn.metrics import roc_auc_score
from sklearn.metrics import roc_curve

from clel_tf.metrics import detection
from clel_tf.metrics import detection_difference


def normal(count, shift=0.0, seed=0):
    return np.random.default_rng(seed).normal(shift, size=count)


def values(result):
    return np.array([interval.value for interval in result])


def by_scikit_learn(inside, ood):
    is_ood = np.repeat([0, 1], [len(inside), len(ood)])
    scores = np.concatenate([inside, ood])
    fpr, tpr, _ = roc_curve(is_ood, scores, drop_intermediate=False)
    return np.array(
        [
            roc_auc_score(is_ood, scores),
            average_precision_score(is_ood, scores),
            average_precision_score(1 - is_ood, -scores),
            fpr[tpr >= 0.95].min(),
        ]
    )


def test_by_hand():
    # Of nine pairs, five are in order and one is tied.
    result = detection([0.0, 1.0, 2.0], [1.0, 3.0, 0.5])
    assert result.auroc.value == 5.5 / 9
    # Flagged from 3, 1 and 0.5 up: one of one, two of four, three of five.
    # Kept up to 0, 1 and 2: the same.
    expected = pytest.approx((1 + 2 / 4 + 3 / 5) / 3, rel=1e-15)
    assert result.aupr_out.value == expected
    assert result.aupr_in.value == expected
    assert result.fpr_at_95_tpr.value == 2 / 3


def test_19_of_20_are_95_percent():
    inside = [-1.0, 0.5, 1.0, 30.0]
    from_1_up = detection(inside, np.arange(20.0)).fpr_at_95_tpr.value
    assert from_1_up == 2 / 4
    from_0_up = detection(inside, np.arange(19.0)).fpr_at_95_tpr.value
    assert from_0_up == 3 / 4  # 18 of 19 are too few


def test_told_without_an_error():
    result = detection([0, 1], [2, 3])
    np.testing.assert_array_equal(result, [[1] * 3, [1] * 3, [1] * 3, [0] * 3])


def test_taken_for_each_other():
    result = detection([2.0, 3.0], [0.0, 1.0])
    assert (result.auroc.value, result.fpr_at_95_tpr.value) == (0.0, 1.0)


def test_one_score_for_all_tells_nothing():
    result = detection([7.0] * 3, [7.0] * 2)
    np.testing.assert_allclose(values(result), [1 / 2, 2 / 5, 3 / 5, 1])


SCORES = {
    "distinct": (normal(300), normal(200, 1.0, seed=1)),
    "many ties": (np.rint(2 * normal(300)), np.rint(2 * normal(500, 0.5, 1))),
    "two values": (normal(40) > 1, normal(30, seed=1) > 0),
    "all tied": (np.zeros(5), np.zeros(3)),
    "huge": (1e300 * normal(99), 1e300 * normal(98, -0.5, seed=1)),
    "next to each other": (
        1 + 2.0**-52 * np.arange(60),
        1 + 2.0**-52 * np.arange(30, 80),
    ),
    "far below zero": (normal(77) - 1e6, normal(20, 2.0, seed=1) - 1e6),
    "float32": (np.float32(normal(64)), np.float32(normal(64, seed=1))),
    "few beside many": (normal(2), normal(5000, seed=1)),
    "reversed": (normal(50, 2.0), normal(50, seed=1)),
}


@pytest.mark.parametrize("name", SCORES)
def test_agrees_with_scikit_learn(name):
    inside, ood = (scores * 1.0 for scores in SCORES[name])
    np.testing.assert_allclose(
        values(detection(inside, ood, resamples=1)),
        by_scikit_learn(inside, ood),
        rtol=1e-12,
        atol=1e-12,
    )


def every_resample(inside, ood):
    """The figures of each of the equally likely resamples of tiny sets."""
    rows = [
        [list(chosen) for chosen in itertools.product(range(n), repeat=n)]
        for n in (len(inside), len(ood))
    ]
    return np.array(
        [by_scikit_learn(inside[a], ood[b]) for a in rows[0] for b in rows[1]]
    )


def assert_quantiles(estimate, outcomes):
    # The error of a share of 20,000 resamples is below 0.0036.
    for confidence in (0.3, 0.5, 0.7, 0.9):
        intervals = estimate(confidence=confidence, resamples=20_000)
        tail = (1 - confidence) / 2
        for name, share in (("low", tail), ("high", 1 - tail)):
            least, most = np.quantile(
                outcomes, [share - 0.02, share + 0.02], 0, method="inverted_cdf"
            )
            ends = np.array([getattr(x, name) for x in intervals])
            assert (least - 1e-12 <= ends).all()
            assert (ends <= most + 1e-12).all()


FIRST = np.array([0.0, 1.0]), np.array([1.0, 0.5, 2.0])
SECOND = np.array([0.7, 0.0]), np.array([0.3, 3.0, 0.7])


def test_intervals_are_quantiles_of_all_resamples():
    assert_quantiles(
        lambda **settings: detection(*FIRST, **settings), every_resample(*FIRST)
    )


def test_differences_are_of_the_same_resamples():
    outcomes = every_resample(*FIRST) - every_resample(*SECOND)
    assert_quantiles(
        lambda **settings: detection_difference(FIRST, SECOND, **settings),
        outcomes,
    )


def test_intervals_hold_the_truth_as_often_as_they_say():
    truth = stats.norm.cdf(1 / np.sqrt(2))  # the chance that N(1, 1) > N(0, 1)
    holds = []
    for trial in range(300):
        rng = np.random.default_rng(trial)
        inside, ood = rng.normal(0, size=50), rng.normal(1, size=60)
        auroc = detection(inside, ood, confidence=0.8, resamples=200).auroc
        holds.append(auroc.low <= truth <= auroc.high)
    # Three and a half of its standard deviations.
    assert np.mean(holds) == pytest.approx(0.8, abs=0.08)


def test_intervals_have_the_width_of_delong():
    inside, ood = normal(400), normal(300, 0.7, seed=1)
    wins = ood[:, np.newaxis] > inside
    variance = sum(
        wins.mean(axis).var(ddof=1) / wins.shape[1 - axis] for axis in (0, 1)
    )
    one_sigma = stats.norm.cdf(1) - stats.norm.cdf(-1)
    auroc = detection(inside, ood, one_sigma, resamples=4000).auroc
    width = (auroc.high - auroc.low) / 2
    assert width == pytest.approx(np.sqrt(variance), rel=0.1)


def test_difference_of_figures():
    first = normal(90), normal(80, 2.0, seed=1)
    second = normal(90, seed=2), normal(80, 1.0, seed=3)
    result = detection_difference(first, second)
    np.testing.assert_allclose(
        values(result),
        by_scikit_learn(*first) - by_scikit_learn(*second),
        atol=1e-12,
    )
    assert result.auroc.low > 0 > result.fpr_at_95_tpr.high


def test_what_orders_alike_does_not_differ():
    scores = normal(90), normal(80, 1.0, seed=1)
    result = detection_difference(scores, [np.exp(x) for x in scores])
    np.testing.assert_array_equal(result, np.zeros([4, 3]))


def test_depends_on_the_seed_only():
    scores = normal(90), normal(80, 1.0, seed=1)
    result = detection(*scores)
    assert detection(*scores) == result == detection(*scores, seed=0)
    other = detection(*scores, seed=1)
    assert (values(other) == values(result)).all() and other != result


def test_chunks_change_nothing(monkeypatch):
    scores = normal(9), normal(8, 1.0, seed=1)
    whole = detection(*scores, resamples=100)
    module = importlib.import_module("clel_tf.metrics.detection")
    for size in (17 * 7, 1):  # seven resamples at a time, and one
        monkeypatch.setattr(module, "_CHUNK_SIZE", size)
        assert detection(*scores, resamples=100) == whole


def test_memory_does_not_grow_with_the_resamples():
    scores = normal(2000), normal(2000, 1.0, seed=1)
    tracemalloc.start()
    detection(*scores, resamples=1000)  # 4 million draws: 32 MB
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**23


@pytest.mark.parametrize(
    "scores, match",
    [
        (([], [1.0, 2.0]), r"in_scores .* n >= 2; received: shape \(0,\)"),
        (([1.0, 2.0], [1.0]), r"ood_scores .* n >= 2; received: shape \(1,\)"),
        (([[1.0], [2.0]], [1.0, 2.0]), r"in_scores of shape \[n\].*\(2, 1\)"),
        (([1.0, np.nan], [1.0, 2.0]), "finite in_scores; received: 1 "),
        (([1.0, 2.0], [-np.inf, np.inf]), "finite ood_scores; received: 2 "),
    ],
)
def test_rejects_scores(scores, match):
    with pytest.raises(ValueError, match=match):
        detection(*scores)


def test_rejects_what_is_no_number():
    with pytest.raises(TypeError, match="ood_scores to hold real numbers"):
        detection([1.0, 2.0], ["a", "b"])


@pytest.mark.parametrize(
    "settings, match",
    [
        ({"confidence": 0}, r"confidence in \(0, 1\); received: 0"),
        ({"confidence": 95}, r"confidence in \(0, 1\); received: 95"),
        ({"resamples": 0}, "resamples of at least 1; received: 0"),
    ],
)
def test_rejects_settings(settings, match):
    with pytest.raises(ValueError, match=match):
        detection(*FIRST, **settings)


def test_rejects_scores_of_other_images():
    shorter = SECOND[0], SECOND[1][:2]
    match = r"equally many .*received: \(2, 3\) and \(2, 2\)"
    with pytest.raises(ValueError, match=match):
        detection_difference(FIRST, shorter)
    with pytest.raises(ValueError, match="finite ood_scores of second"):
        detection_difference(FIRST, (SECOND[0], SECOND[1] * np.nan))
