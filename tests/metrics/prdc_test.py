import numpy as np
import pytest

from clel_tf.metrics import distances
from clel_tf.metrics import prdc

LINE = np.array([[0.0], [1.0], [3.0], [7.0]])


def column(*values):
    return np.array(values)[:, np.newaxis]


def two_sets():
    rng = np.random.default_rng(0)
    return rng.normal(size=(40, 3)), rng.normal(size=(25, 3)) + 1.0


def test_radii_of_the_nearest_other_point():
    # Radii 1, 1, 2, 4: balls [-1, 1], [0, 2], [1, 5], [3, 11].
    result = prdc(column(-0.5, 2.5, 12.0, -1.5), LINE, k=1)
    assert (result.precision, result.density) == (0.5, 0.5)
    assert result.coverage == 0.5
    # Samples' radii 1, 3, 9.5, 1; then 3, 3, 0.5, 0.5, which leaves 7 out.
    assert result.recall == 1.0
    assert prdc(column(-0.5, 2.5, 12.5, 12.0), LINE, k=1).recall == 0.75


def test_radii_grow_with_k():
    # k = 2: radii 3, 2, 3, 6: balls [-3, 3], [-1, 3], [0, 6], [1, 13].
    samples = column(-2.5, 12.0, 14.0, -4.0, -5.0)
    result = prdc(samples, LINE, k=2)
    assert (result.precision, result.density) == (0.4, 0.2)
    assert result.coverage == 0.5
    # k = 3: radii 7, 6, 4, 7: balls [-7, 7], [-5, 7], [-1, 7], [0, 14].
    result = prdc(samples, LINE)
    assert (result.precision, result.coverage) == (1.0, 0.75)
    assert result.density == pytest.approx(8 / 15)


def test_balls_that_overlap_are_all_counted():
    # Balls [-1, 1], [0, 2], [1, 3], [2, 18]; 1 is in three, 30 in none.
    reference = column(0.0, 1.0, 2.0, 10.0)
    assert prdc(column(1.0, 30.0), reference, k=1).density == 1.5
    assert prdc(column(1.0, 1.0), reference, k=1).density == 3.0


def test_balls_contain_their_surface():
    touching = prdc(column(-1.0, 100.0), LINE, k=1)
    assert (touching.precision, touching.coverage) == (0.5, 0.25)
    outside = prdc(column(-1.0 - 1e-9, 100.0), LINE, k=1)
    assert outside[0] == outside[2] == outside[3] == 0.0
    assert prdc(column(-1.0, -2.0), LINE, k=1).recall == 0.25
    assert prdc(column(-1.0, -1.9), LINE, k=1).recall == 0.0


def test_plane():
    reference = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 20.0]])
    # Radii 5, 5 and sqrt(9 + 256); corners of a ball's box are outside it.
    samples = np.array([[-4.0, -3.0], [-4.0, -3.1], [-4.9, -4.9], [8.0, 4.0]])
    result = prdc(samples, reference, k=1)
    assert result.precision == 0.5
    assert result.coverage == pytest.approx(2 / 3)


def test_copies_are_neighbours_of_each_other():
    reference = column(0.0, 0.0, 5.0, 6.0)
    # Radii 0, 0, 1, 1.
    result = prdc(column(0.0, 0.1, 5.5), reference, k=1)
    assert result.precision == pytest.approx(2 / 3)
    assert result.coverage == 1.0


@pytest.mark.parametrize("k", [1, 3, 10])
def test_identical_sets(k):
    images = np.random.default_rng(0).random((30, 4, 4, 1), np.float32)
    result = prdc(images, images, k=k)
    assert result[0] == result[1] == result[3] == 1.0
    # A point is in its own ball and in those it is among the k nearest of.
    assert result.density == pytest.approx((k + 1) / k)


def test_far_sets():
    images = np.random.default_rng(0).random((30, 4, 4, 1))
    assert prdc(images + 100.0, images) == (0.0, 0.0, 0.0, 0.0)


def test_one_spot_is_precise_and_dense_but_covers_and_recalls_little():
    reference = column(*np.arange(10.0), *np.arange(100.0, 110.0))
    result = prdc(np.full([50, 1], 0.2), reference, k=1)
    assert result == (1.0, 0.0, 2.0, 0.1)  # balls around 0 and 1


def test_recall_is_the_precision_of_the_data_among_the_samples():
    samples, reference = two_sets()
    recall = prdc(samples, reference).recall
    assert recall == prdc(reference, samples).precision
    assert 0.0 < recall < 1.0


def test_density_of_the_same_distribution_is_about_one():
    rng = np.random.default_rng(0)
    samples, reference = rng.normal(size=(2, 1000, 4))
    assert prdc(samples, reference).density == pytest.approx(1.0, abs=0.08)
    wider = prdc(2.0 * samples, reference)
    assert wider.density < 0.5 < 0.8 < wider.recall


def test_chunks_change_nothing(monkeypatch):
    samples, reference = two_sets()
    whole = prdc(samples, reference)
    monkeypatch.setattr(distances, "_CHUNK_SIZE", 60)  # two rows at a time
    assert prdc(samples, reference) == whole
    assert 0.0 < min(whole) and not set(whole) & {1.0}


@pytest.mark.parametrize("k", [0, 4])
def test_rejects_k(k):
    message = f"k of at least 1 and below 4.*received: {k}"
    with pytest.raises(ValueError, match=message):
        prdc(np.zeros([9, 1]), LINE, k=k)
    with pytest.raises(ValueError, match=message):
        prdc(LINE, np.zeros([9, 1]), k=k)


def test_rejects_unlike_points():
    with pytest.raises(ValueError, match=r"equal dimension.*\[2, 1\]"):
        prdc(np.zeros([4, 2]), LINE)
    with pytest.raises(ValueError, match="finite samples"):
        prdc([[np.nan]], LINE)
    with pytest.raises(ValueError, match="finite reference"):
        prdc(LINE, [[np.inf]])
