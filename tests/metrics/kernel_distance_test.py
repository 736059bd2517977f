import numpy as np
import pytest

from clel_tf.metrics import distances
from clel_tf.metrics import kernel_distance


def kernel(x, y):
    return (sum(p * q for p, q in zip(x, y)) / len(x) + 1.0) ** 3


def mean_kernel(a, b):
    return np.mean([kernel(x, y) for x in a for y in b if x is not y])


def by_loops(a, b):
    # Rows as lists, each an object of its own, so that `is not` leaves out
    # pairs of a point with itself.
    a, b = a.tolist(), b.tolist()
    return mean_kernel(a, a) + mean_kernel(b, b) - 2.0 * mean_kernel(a, b)


def jackknife_variance(function, points):
    n = len(points)
    values = [function(np.delete(points, i, axis=0)) for i in range(n)]
    return (n - 1) / n * np.sum((values - np.mean(values)) ** 2)


def two_sets(n=9, m=13, d=3, shift=0.5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + shift


def test_value_is_that_of_a_double_loop():
    a, b = two_sets()
    expected = by_loops(a, b)
    assert kernel_distance(a, b).value == pytest.approx(expected, rel=1e-12)


def test_standard_error_is_that_of_leaving_each_out():
    a, b = two_sets()
    variance = jackknife_variance(lambda x: by_loops(x, b), a)
    variance += jackknife_variance(lambda x: by_loops(a, x), b)
    error = kernel_distance(a, b).standard_error
    assert error == pytest.approx(np.sqrt(variance), rel=1e-10)


def test_one_dimension_by_hand():
    # Products within a: 1, 0, 1; within b: 27, 64, 343; across they sum to 93.
    a = np.array([[-1.0], [0.0], [1.0]])
    expected = 2 / 3 + 434 / 3 - 2 * 93 / 9
    assert kernel_distance(a, a + 2.0).value == pytest.approx(expected)


def many_draws(shift, count=400, n=40, m=80):
    rng = np.random.default_rng(0)
    results = [
        kernel_distance(
            rng.normal(size=(n, 1)), shift + rng.normal(size=(m, 1))
        )
        for _ in range(count)
    ]
    return np.transpose(results)


def test_unbiased_with_an_error_as_large_as_the_spread():
    # Of the cubic kernel in one dimension the distance is 3 |difference of
    # means|^2 + 3 |of second moments|^2 + |of third moments|^2.
    values, errors = many_draws(shift=1.0)
    expected = 3 * 1.0**2 + 3 * 1.0**2 + 4.0**2
    tolerance = 4 * values.std() / np.sqrt(len(values))
    assert values.mean() == pytest.approx(expected, abs=tolerance)
    ratio = np.sqrt(np.mean(errors**2)) / values.std(ddof=1)
    assert 0.85 < ratio < 1.25


def test_sets_of_one_distribution():
    values, errors = many_draws(shift=0.0)
    tolerance = 4 * values.std() / np.sqrt(len(values))
    assert values.mean() == pytest.approx(0.0, abs=tolerance)
    assert 0.3 < np.mean(values < 0) < 0.9
    ratio = np.sqrt(np.mean(errors**2)) / values.std(ddof=1)
    assert 1.0 < ratio < 1.8


def test_symmetric():
    a, b = two_sets()
    np.testing.assert_allclose(
        kernel_distance(a, b), kernel_distance(b, a), rtol=1e-12
    )


def test_chunks_change_rounding_only(monkeypatch):
    a, b = two_sets(n=20, m=33)
    whole = kernel_distance(a, b)
    monkeypatch.setattr(distances, "_CHUNK_SIZE", 70)  # two or three rows
    np.testing.assert_allclose(kernel_distance(a, b), whole, rtol=1e-12)


def test_returns_python_floats_for_any_precision():
    a, b = (x.astype(np.float32) for x in two_sets())
    assert {type(figure) for figure in kernel_distance(a, b)} == {float}


@pytest.mark.parametrize(
    "a, b, message",
    [
        (np.zeros([2, 2]), np.zeros([3, 2]), r"a of .* n >= 3.*\(2, 2\)"),
        (np.zeros([3, 2]), np.zeros([2, 2]), "b of .* n >= 3"),
        (np.zeros([3, 2, 2]), np.zeros([3, 4]), r"a of shape \[n, d\]"),
        (np.zeros([3, 2]), np.zeros([3, 1]), r"equal dim.*\[2, 1\]"),
        (np.full([3, 1], np.nan), np.zeros([3, 1]), "finite a"),
        (np.zeros([3, 1]), np.full([3, 1], np.inf), "finite b"),
    ],
)
def test_rejects(a, b, message):
    with pytest.raises(ValueError, match=message):
        kernel_distance(a, b)
