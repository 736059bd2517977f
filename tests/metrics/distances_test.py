import numpy as np
import pytest

from clel_tf.metrics import distances


def test_points_are_flattened_to_float64():
    points = distances.as_points("images", np.ones([3, 2, 2, 1], np.float32))
    assert points.shape == (3, 4) and points.dtype == np.float64


@pytest.mark.parametrize("shape", [(), (3,), (0, 2), (2, 0)])
def test_wrong_shape_is_named(shape):
    with pytest.raises(ValueError, match="features.*received: shape"):
        distances.as_points("features", np.zeros(shape))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_values_are_counted(value):
    with pytest.raises(ValueError, match="received: 2 non-finite"):
        distances.as_points("features", [[value, 1.0], [0.0, value]])


@pytest.mark.parametrize("values", [[[1j]], [["a"]], [[True]]])
def test_only_real_numbers_are_points(values):
    with pytest.raises(TypeError, match="real numbers; received: dtype"):
        distances.as_points("features", values)


@pytest.mark.parametrize("limit", [1, 15, 10**6])
@pytest.mark.parametrize("width", [3, 300])
def test_chunks_are_bounded_and_cover_every_row(monkeypatch, limit, width):
    monkeypatch.setattr(distances, "_CHUNK_SIZE", limit)
    rng = np.random.default_rng(0)
    points, reference = (rng.normal(size=(n, width)) for n in (10, 5))
    rows, chunks = zip(
        *distances.chunked_distances(points, reference), strict=True
    )
    difference = points[:, np.newaxis] - reference
    expected = np.sqrt(np.sum(difference**2, axis=-1))
    np.testing.assert_allclose(np.concatenate(chunks), expected, rtol=1e-12)
    assert [r.stop for r in rows[:-1]] == [r.start for r in rows[1:]]
    assert max(chunk.size for chunk in chunks) <= max(limit, 5)


@pytest.mark.parametrize("width", [3, 300])
def test_equal_points_are_together(width):
    points = 10.0 * np.random.default_rng(0).normal(size=(20, width))
    nearest = distances.nearest_distances(points, points)
    assert nearest.max() <= (0.0 if width == 3 else 1e-8 * 10.0 * width)


def test_nearest_references_by_hand():
    points = np.array([[0.0, 0.0], [3.0, 0.0]])
    reference = np.array([[3.0, 4.0], [0.0, 1.0], [3.0, 0.0]])
    indices, found = distances.nearest_references(points, reference, k=2)
    np.testing.assert_array_equal(indices, [[1, 2], [2, 1]])
    np.testing.assert_allclose(found, [[1.0, 3.0], [0.0, np.sqrt(10.0)]])
    np.testing.assert_array_equal(
        distances.nearest_distances(points, reference), [1.0, 0.0]
    )


@pytest.mark.parametrize("k", [1, 20, 300])
def test_nearest_references_are_in_order_whatever_the_chunks(monkeypatch, k):
    monkeypatch.setattr(distances, "_CHUNK_SIZE", 700)  # two rows at a time
    rng = np.random.default_rng(0)
    points = rng.random((7, 2, 2, 1), np.float32)
    reference = rng.random((300, 2, 2, 1), np.float32)
    indices, found = distances.nearest_references(points, reference, k)
    difference = points[:, np.newaxis].astype(np.float64) - reference
    expected = np.sqrt(np.sum(difference**2, axis=(2, 3, 4)))
    np.testing.assert_array_equal(indices, expected.argsort(axis=1)[:, :k])
    expected.sort(axis=1)
    np.testing.assert_allclose(found, expected[:, :k], rtol=1e-12)


def test_nearest_references_reject():
    points = np.zeros([3, 2])
    for k in (0, 4):
        with pytest.raises(ValueError, match=f"1 to 3; received: {k}"):
            distances.nearest_references(points, points, k)
    with pytest.raises(ValueError, match=r"equal dimension.*\[2, 1\]"):
        distances.nearest_references(points, points[:, :1])
    with pytest.raises(ValueError, match="finite reference"):
        distances.nearest_references(points, points * np.nan)


def test_features_are_rows():
    with pytest.raises(ValueError, match=r"x of shape \[n, d\] with n >= 2"):
        distances.as_features("x", np.zeros([1, 4]))
    with pytest.raises(ValueError, match=r"received: shape \(3, 2, 2\)"):
        distances.as_features("x", np.zeros([3, 2, 2]))
    assert distances.as_features("x", [[1, 2]], minimum=1).shape == (1, 2)
