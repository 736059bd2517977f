import numpy as np
import pytest

from clel_tf.metrics import FeatureMoments


def features(n=60, d=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 3.0


def gathered(batches):
    moments = FeatureMoments()
    for batch in batches:
        moments.update(batch)
    return moments


@pytest.mark.parametrize("ends", [[], [30], [1, 2, 3, 50], list(range(1, 60))])
def test_batches_of_any_size_give_the_moments_of_all(ends):
    x = features()
    moments = gathered(np.split(x, ends))
    assert moments.count == 60
    np.testing.assert_allclose(moments.mean, x.mean(axis=0), rtol=1e-12)
    covariance = np.cov(x, rowvar=False)
    np.testing.assert_allclose(moments.covariance, covariance, rtol=1e-10)


def test_order_changes_rounding_only():
    batches = np.split(features(), [7, 8, 30])
    forwards, backwards = gathered(batches), gathered(batches[::-1])
    np.testing.assert_allclose(
        forwards.covariance, backwards.covariance, rtol=1e-12
    )
    np.testing.assert_allclose(forwards.mean, backwards.mean, rtol=1e-14)


def test_an_offset_costs_no_precision():
    # Whole numbers, so that the offset itself rounds nothing.
    x = np.random.default_rng(0).integers(-50, 50, size=(200, 3))
    moments = gathered(np.split(x + 10**8, 10))
    expected = np.cov(x, rowvar=False)
    np.testing.assert_allclose(moments.covariance, expected, rtol=1e-9)


def test_features_are_gathered_in_float64():
    x = features().astype(np.float32)
    moments = gathered(np.split(x, 6))
    assert moments.mean.dtype == moments.covariance.dtype == np.float64
    expected = np.cov(x.astype(np.float64), rowvar=False)
    np.testing.assert_allclose(moments.covariance, expected, rtol=1e-10)


def test_one_dimension_and_chained_updates():
    moments = FeatureMoments().update([[1.0], [2.0]]).update([[6.0]])
    assert moments.mean == [3.0]
    np.testing.assert_allclose(moments.covariance, [[7.0]], rtol=1e-15)


@pytest.mark.parametrize(
    "batch, error, message",
    [
        (np.zeros([3, 2]), ValueError, r"equal dimension.*\[2, 4\]"),
        (np.zeros(4), ValueError, "features of shape"),
        (np.zeros([2, 2, 2]), ValueError, r"features of shape \[n, d\]"),
        (np.full([2, 4], np.nan), ValueError, "finite features"),
        (np.ones([2, 4], complex), TypeError, "real numbers"),
    ],
)
def test_a_rejected_batch_leaves_the_moments_as_they_were(
    batch, error, message
):
    moments = FeatureMoments().update(features())
    before = moments.count, moments.covariance
    with pytest.raises(error, match=message):
        moments.update(batch)
    assert moments.count == before[0]
    np.testing.assert_array_equal(moments.covariance, before[1])


def test_too_few_features_have_no_moments():
    moments = FeatureMoments()
    with pytest.raises(ValueError, match="n >= 1 features; received: n = 0"):
        _ = moments.mean
    moments.update([[1.0, 2.0]])
    np.testing.assert_array_equal(moments.mean, [1.0, 2.0])
    with pytest.raises(ValueError, match="n >= 2 features; received: n = 1"):
        _ = moments.covariance
