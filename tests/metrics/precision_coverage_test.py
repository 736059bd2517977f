import numpy as np
import pytest

from clel_tf.metrics import distances
from clel_tf.metrics import precision_coverage

LINE = np.array([[0.0], [1.0], [3.0], [7.0]])


def test_radius_of_the_nearest_other_point():
    # Radii 1, 1, 2, 4: balls [-1, 1], [0, 2], [1, 5], [3, 11].
    samples = np.array([[-0.5], [2.5], [12.0], [-1.5]])
    assert precision_coverage(samples, LINE, k=1) == (0.5, 0.5)


def test_radius_grows_with_k():
    # k = 2: radii 3, 2, 3, 6: balls [-3, 3], [-1, 3], [0, 6], [1, 13].
    samples = np.array([[-2.5], [12.0], [14.0], [-4.0], [-5.0]])
    assert precision_coverage(samples, LINE, k=2) == (0.4, 0.5)
    # k = 3: radii 7, 6, 4, 7: balls [-7, 7], [-5, 7], [-1, 7], [0, 14].
    assert precision_coverage(samples, LINE) == (1.0, 0.75)


def test_balls_contain_their_surface():
    assert precision_coverage([[-1.0]], LINE, k=1) == (1.0, 0.25)
    assert precision_coverage([[-1.0 - 1e-9]], LINE, k=1) == (0.0, 0.0)


def test_plane():
    reference = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 20.0]])
    # Radii 5, 5 and sqrt(9 + 256); corners of a ball's box are outside it.
    samples = np.array([[-4.0, -3.0], [-4.0, -3.1], [-4.9, -4.9], [8.0, 4.0]])
    precision, coverage = precision_coverage(samples, reference, k=1)
    assert precision == 0.5
    assert coverage == pytest.approx(2 / 3)


def test_copies_are_neighbours_of_each_other():
    reference = np.array([[0.0], [0.0], [5.0], [6.0]])
    # Radii 0, 0, 1, 1.
    result = precision_coverage([[0.0], [0.1], [5.5]], reference, k=1)
    assert result.precision == pytest.approx(2 / 3)
    assert result.coverage == 1.0


@pytest.mark.parametrize("k", [1, 3, 10])
def test_identical_sets(k):
    images = np.random.default_rng(0).random((30, 4, 4, 1), np.float32)
    assert precision_coverage(images, images, k=k) == (1.0, 1.0)


def test_far_sets():
    images = np.random.default_rng(0).random((30, 4, 4, 1))
    assert precision_coverage(images + 100.0, images) == (0.0, 0.0)


def test_one_spot_is_precise_but_covers_little():
    reference = np.concatenate([np.arange(10.0), 100.0 + np.arange(10.0)])
    samples = np.full([50, 1], 0.2)
    result = precision_coverage(samples, reference[:, np.newaxis], k=1)
    assert result == (1.0, 0.1)  # balls around 0 and 1


def test_chunks_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    samples, reference = rng.normal(size=(40, 3)), rng.normal(size=(25, 3))
    whole = precision_coverage(samples, reference)
    monkeypatch.setattr(distances, "_CHUNK_SIZE", 60)  # two rows at a time
    assert precision_coverage(samples, reference) == whole
    assert 0.0 < whole.precision < 1.0 and 0.0 < whole.coverage < 1.0


@pytest.mark.parametrize("k", [0, 4])
def test_rejects_k(k):
    with pytest.raises(ValueError, match=f"k from 1 to 3.*received: {k}"):
        precision_coverage(LINE, LINE, k=k)


def test_rejects_unlike_points():
    with pytest.raises(ValueError, match=r"equal dimension.*\[2, 1\]"):
        precision_coverage(np.zeros([4, 2]), LINE)
    with pytest.raises(ValueError, match="finite samples"):
        precision_coverage([[np.nan]], LINE)
