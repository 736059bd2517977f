import warnings

import numpy as np
import pytest
import scipy.linalg

from clel_tf.metrics import FeatureMoments
from clel_tf.metrics import frechet_distance


def features_with(mean, covariance, n=50, seed=0):
    # Whitened by their own moments, so that mean and covariance are exact.
    z = np.random.default_rng(seed).normal(size=(n, len(mean)))
    z -= z.mean(axis=0)
    z = z @ np.linalg.inv(np.linalg.cholesky(np.cov(z.T))).T
    return z @ np.linalg.cholesky(covariance).T + mean


def random_covariance(d, seed):
    root = np.random.default_rng(seed).normal(size=(d, d))
    return root @ root.T + np.eye(d)


def test_diagonal_covariances_by_hand():
    a = features_with([0.0, 0.0, 0.0], np.diag([1.0, 4.0, 9.0]))
    b = features_with([1.0, 2.0, 2.0], np.diag([4.0, 4.0, 1.0]), seed=1)
    # |mean|^2 = 9; deviations differ by 1, 0 and 2.
    assert frechet_distance(a, b) == pytest.approx(9.0 + 5.0, rel=1e-10)


def test_one_dimension_by_hand():
    a = np.array([[0.0], [2.0]])  # variance 2
    b = np.array([[3.0], [7.0]])  # variance 8
    assert frechet_distance(a, b) == pytest.approx(16.0 + 2.0, rel=1e-12)


def test_full_covariances_match_the_matrix_square_root():
    cov_a, cov_b = random_covariance(6, seed=1), random_covariance(6, seed=2)
    a = features_with(np.zeros(6), cov_a)
    b = features_with(np.arange(6.0), cov_b, n=80, seed=3)
    cross = np.trace(scipy.linalg.sqrtm(cov_a @ cov_b)).real
    expected = 55.0 + np.trace(cov_a) + np.trace(cov_b) - 2.0 * cross
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-8)


def test_symmetric():
    a = features_with(np.zeros(5), random_covariance(5, seed=1))
    b = features_with(np.ones(5), random_covariance(5, seed=2), seed=4)
    assert frechet_distance(a, b) == pytest.approx(
        frechet_distance(b, a), rel=1e-12
    )


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_zero_on_itself(scale):
    a = scale * features_with(np.ones(5), random_covariance(5, seed=1))
    assert 0.0 <= frechet_distance(a, a) <= 1e-12 * scale**2


def test_singular_covariances():
    # Both vary along one line only; the lines are orthogonal.
    line = np.array([[-1.0], [0.0], [1.0], [-1.0], [0.0], [1.0]])
    a, b = np.zeros([6, 3]), np.zeros([6, 3])
    a[:, :1], b[:, 1:2] = line, 3.0 * line
    assert frechet_distance(a, b) == pytest.approx(0.8 + 7.2, rel=1e-12)
    assert frechet_distance(a, 3.0 * a) == pytest.approx(4 * 0.8, rel=1e-12)
    assert frechet_distance(np.ones([6, 3]), np.zeros([6, 3])) == 3.0


def rotated(features, d, seed=0):
    """Features of few dimensions, turned out of the axes of d dimensions."""
    root = np.random.default_rng(seed).normal(size=(d, features.shape[1]))
    return features @ np.linalg.qr(root)[0].T


@pytest.mark.parametrize("d, warns", [(40, False), (70, True)])
def test_of_a_shared_subspace_nothing_else_counts(d, warns):
    cov_a, cov_b = random_covariance(3, seed=1), random_covariance(3, seed=2)
    a = features_with([0.0, 0.0, 0.0], cov_a)
    b = features_with([1.0, 2.0, 2.0], cov_b, n=60, seed=3)
    cross = np.trace(scipy.linalg.sqrtm(cov_a @ cov_b)).real
    expected = 9.0 + np.trace(cov_a) + np.trace(cov_b) - 2.0 * cross
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        distance = frechet_distance(rotated(a, d), rotated(b, d))
    assert distance == pytest.approx(expected, rel=1e-6)
    assert len(caught) == (2 if warns else 0)


@pytest.mark.filterwarnings("ignore:. has n = 2 samples")
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_pairs_of_points_by_hand(scale):
    # Covariances u u^T and v v^T, of which tr (C_a C_b)^(1/2) is |u . v|.
    rng = np.random.default_rng(0)
    u, v, shift = scale * rng.normal(size=(3, 50))
    a = np.stack([u, -u]) / np.sqrt(2.0)
    b = np.stack([v, -v]) / np.sqrt(2.0) + shift
    expected = shift @ shift + u @ u + v @ v - 2.0 * abs(u @ v)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


def test_moments_stand_for_their_features():
    a = features_with(np.zeros(5), random_covariance(5, seed=1))
    b = features_with(np.ones(5), random_covariance(5, seed=2), seed=4)
    expected = frechet_distance(a, b)
    moments_a, moments_b = FeatureMoments(), FeatureMoments()
    for batch in np.split(a, [1, 20]):
        moments_a.update(batch)
    for batch in np.split(b, 5):
        moments_b.update(batch)
    for pair in ((moments_a, b), (a, moments_b), (moments_a, moments_b)):
        assert frechet_distance(*pair) == pytest.approx(expected, rel=1e-10)


def test_moments_are_held_to_what_arrays_are():
    few = FeatureMoments().update(np.eye(3))
    with pytest.warns(UserWarning, match="b has n = 3 .* d = 3"):
        frechet_distance(np.eye(4)[:, :3], few)
    with pytest.raises(ValueError, match=r"equal dim.*\[3, 2\]"):
        frechet_distance(few, np.zeros([3, 2]))
    with pytest.raises(ValueError, match="n >= 2 features; received: n = 0"):
        frechet_distance(few, FeatureMoments())


def test_few_samples_warn_and_stay_exact():
    rng = np.random.default_rng(0)
    few, many = rng.normal(size=(4, 30)), rng.normal(size=(100, 30))
    with pytest.warns(UserWarning, match="a has n = 4 .* d = 30"):
        assert 0.0 < frechet_distance(few, many) < 100.0
    with pytest.warns(UserWarning, match="b has n = 4 .* d = 30"):
        frechet_distance(many, few)
    with pytest.warns(UserWarning):
        assert frechet_distance(few, few) < 1e-12
    with pytest.warns(UserWarning):
        shifted = frechet_distance(few, few + 1.0)
    assert shifted == pytest.approx(30.0, rel=1e-12)


def test_warning_begins_where_n_equals_d():
    features = np.random.default_rng(0).normal(size=(6, 5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frechet_distance(features, features)
    with pytest.warns(UserWarning, match="n = 5 .* d = 5"):
        frechet_distance(features, features[:5])


def test_returns_a_python_float_for_any_precision():
    a = np.arange(8, dtype=np.float32).reshape(4, 2) ** 2
    assert type(frechet_distance(a, a + 1)) is float


@pytest.mark.parametrize(
    "a, b, message",
    [
        (np.zeros(3), np.zeros([3, 1]), "a of shape"),
        (np.zeros([3, 1]), np.zeros([3, 1, 1]), "b of shape"),
        (np.zeros([1, 2]), np.zeros([3, 2]), "n >= 2.*received.*1, 2"),
        (np.zeros([3, 2]), np.zeros([3, 1]), r"equal dim.*\[2, 1\]"),
        (np.full([3, 1], np.nan), np.zeros([3, 1]), "finite a"),
        (np.zeros([3, 1]), np.full([3, 1], np.inf), "finite b"),
    ],
)
def test_rejects(a, b, message):
    with pytest.raises(ValueError, match=message):
        frechet_distance(a, b)
