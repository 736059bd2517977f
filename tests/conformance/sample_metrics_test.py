import numpy as np
import pytest
from comparison import torch

from clel_tf import metrics

REASON = "parity needs pip install --no-deps {} (see make test-parity)"
TOLERANCE = 1e-6


def features(n=300, m=300, d=24):
    # Skewed, of unequal variances, and positive, as pooled activations are.
    rng = np.random.default_rng(0)
    scales = np.linspace(0.2, 1.0, d)
    a, b = (rng.gamma(1.0, scales, (count, d)) for count in (n, m))
    return a, 1.1 * b + 0.1


@pytest.mark.parametrize("m", [300, 170])
def test_frechet_distance_agrees(fidelity, m):
    theirs = fidelity("metric_fid")
    a, b = features(m=m)
    statistics = [
        theirs.fid_features_to_statistics(torch.tensor(x)) for x in (a, b)
    ]
    expected = theirs.fid_statistics_to_metric(*statistics, verbose=False)
    distance = metrics.frechet_distance(a, b)
    assert distance == pytest.approx(*expected.values(), rel=TOLERANCE)
    moments = metrics.FeatureMoments()
    for batch in np.split(a, 6):
        moments.update(batch)
    distance = metrics.frechet_distance(moments, b)
    assert distance == pytest.approx(*expected.values(), rel=TOLERANCE)


def kernel_distance_of_subsets(theirs, a, b, subsets, size):
    result = theirs.kid_features_to_metric(
        torch.tensor(a),
        torch.tensor(b),
        kid_subsets=subsets,
        kid_subset_size=size,
        verbose=False,
    )
    return (
        result[theirs.KEY_METRIC_KID_MEAN],
        result[theirs.KEY_METRIC_KID_STD],
    )


def test_kernel_distance_agrees(fidelity):
    a, b = features()
    expected, _ = kernel_distance_of_subsets(
        fidelity("metric_kid"), a, b, subsets=1, size=len(a)
    )
    value = metrics.kernel_distance(a, b).value
    assert value == pytest.approx(expected, rel=TOLERANCE)


def test_the_mean_over_subsets_tends_to_the_kernel_distance(fidelity):
    a, b = features(m=200)
    mean, deviation = kernel_distance_of_subsets(
        fidelity("metric_kid"), a, b, subsets=500, size=60
    )
    error = 4 * deviation / np.sqrt(500)
    value, standard_error = metrics.kernel_distance(a, b)
    assert mean == pytest.approx(value, abs=error)
    assert error < value / 10 and standard_error < deviation


@pytest.mark.parametrize("n, splits", [(300, 10), (301, 7), (40, 1)])
def test_inception_score_agrees(fidelity, n, splits):
    theirs = fidelity("metric_isc")
    logits = 4.0 * np.random.default_rng(0).normal(size=(n, 30))
    expected = theirs.isc_features_to_metric(
        torch.tensor(logits), splits, shuffle=False
    )
    result = metrics.inception_score(logits, splits)
    assert result == pytest.approx(list(expected.values()), rel=TOLERANCE)
    assert 2.0 < result.value < 30.0


@pytest.mark.parametrize("k", [1, 3, 5])
def test_prdc_agrees_with_its_authors(k):
    theirs = pytest.importorskip("prdc", reason=REASON.format("prdc"))
    a, b = features(m=200, d=6)
    expected = theirs.compute_prdc(b, a, nearest_k=k)
    result = metrics.prdc(a, b, k)
    assert result._asdict() == pytest.approx(expected, rel=1e-12)
    assert 0.0 < min(result) and not set(result) & {1.0}


def test_precision_and_recall_agree_with_torch_fidelity(fidelity):
    # Whole numbers: points lie on the surfaces of balls.
    rng = np.random.default_rng(0)
    a = rng.integers(0, 9, (90, 3)).astype(np.float64)
    b = rng.integers(3, 14, (120, 3)).astype(np.float64)
    expected = fidelity("metric_prc").prc_features_to_metric(
        torch.tensor(a), torch.tensor(b), verbose=False
    )
    result = metrics.prdc(a, b)
    assert result.precision == pytest.approx(expected["precision"], rel=1e-6)
    assert result.recall == pytest.approx(expected["recall"], rel=1e-6)
    assert 0.0 < result.recall < 1.0 and 0.0 < result.precision < 1.0
