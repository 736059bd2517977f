import dataclasses

import numpy as np
import pytest
from sklearn import datasets

from clel_tf.data import SHIFTS
from clel_tf.data import ImageData
from clel_tf.data import StreamedImages
from clel_tf.data import load
from clel_tf.data import shift
from clel_tf.data import shifts

DIGITS = load("digits")
COLORS = ImageData(
    "colors",
    np.random.default_rng(0).integers(0, 256, [300, 9, 6, 3]).astype(np.uint8),
)
DRAWN = ("constant", "noise", "photographs")


@pytest.fixture(scope="module")
def shifted():
    return {name: shift(DIGITS, name) for name in SHIFTS}


@pytest.mark.parametrize("name", SHIFTS)
def test_looks_like_the_set_but_is_another(shifted, name):
    data = shifted[name]
    assert data.spec == f"{name}:digits"
    assert data.levels == 17
    assert data.y_train is data.y_test is data.class_names is None
    for part in ("x_train", "x_test"):
        ours, theirs = getattr(data, part), getattr(DIGITS, part)
        assert (ours.shape, ours.dtype) == (theirs.shape, np.uint8)
        assert ours.max() <= 16
        assert (ours != theirs).any(axis=(1, 2, 3)).mean() > 0.95


@pytest.mark.parametrize("name", SHIFTS)
def test_is_the_same_every_time(shifted, name):
    again = shift(DIGITS, name)
    np.testing.assert_array_equal(shifted[name].x_train, again.x_train)
    np.testing.assert_array_equal(shifted[name].x_test, again.x_test)


@pytest.mark.parametrize("name", [name for name in SHIFTS if name != "rotate"])
def test_colors_and_sides_of_any_length(name):
    data = shift(COLORS, name)
    assert data.x_train.shape == COLORS.x_train.shape and data.x_test is None
    assert data.x_train.max() > 128


@pytest.mark.parametrize("name", SHIFTS)
def test_streams_what_is_streamed(shifted, name, monkeypatch):
    monkeypatch.setattr(shifts, "_CHUNK", 64 * 100)
    reads = []

    def read(rows):
        reads.append(len(rows))
        return DIGITS.x_test[rows]

    images = StreamedImages(read, DIGITS.x_test.shape)
    # Bytes, as the values of fewer levels are read to be checked.
    data = shift(ImageData("streamed", images), name)
    assert isinstance(data.x_train, StreamedImages) and not reads
    in_memory = shift(ImageData("in memory", DIGITS.x_test), name).x_train
    np.testing.assert_array_equal(data.x_train[:], in_memory)
    np.testing.assert_array_equal(data.x_train[[7, -1]], in_memory[[7, -1]])
    assert data.x_train[5:5].shape == (0, 8, 8, 1)


@pytest.mark.parametrize("name", DRAWN)
def test_draws_depend_on_row_and_part_alone(shifted, name):
    other = ImageData("zeros", np.zeros([50, 8, 8, 1], np.uint8), levels=17)
    train, test = shifted[name].x_train, shifted[name].x_test
    np.testing.assert_array_equal(shift(other, name).x_train, train[:50])
    assert len(np.unique(train, axis=0)) > 16
    assert (train[:50] != test[:50]).any(axis=(1, 2, 3)).sum() > 40


@pytest.mark.parametrize("levels", [17, 256])
def test_constants_are_uniform(levels):
    images = np.zeros([2000, 2, 3, 3], np.uint8)
    drawn = shift(ImageData("black", images, levels=levels), "constant").x_train
    assert (drawn == drawn[:, :1, :1]).all()
    assert_uniform(drawn[:, 0, 0], levels)
    assert abs(np.corrcoef(drawn[:, 0, 0].T)[0, 1]) < 5 / np.sqrt(2000)


def assert_uniform(values, levels):
    counts = np.bincount(values.ravel(), minlength=levels)
    assert len(counts) == levels
    expected = values.size / levels
    assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)


@pytest.mark.parametrize("levels", [17, 256])
def test_noise_is_uniform_and_independent(levels):
    images = np.zeros([500, 8, 8, 3], np.uint8)
    drawn = shift(ImageData("black", images, levels=levels), "noise").x_train
    assert_uniform(drawn, levels)
    for axis in range(4):
        ahead = np.delete(drawn, -1, axis).ravel()
        behind = np.delete(drawn, 0, axis).ravel()
        correlation = np.corrcoef(ahead, behind)[0, 1]
        assert abs(correlation) < 5 / np.sqrt(ahead.size)


def blurring_matrix(side, sigma):
    offsets = np.arange(-20, 21)
    weights = np.exp(-(offsets**2) / (2 * sigma**2))
    # Mirrored at the edges: ... 1 0 | 0 1 ... n-1 | n-1 n-2 ...
    sources = (np.arange(side)[:, np.newaxis] + offsets) % (2 * side)
    sources = np.minimum(sources, 2 * side - 1 - sources)
    matrix = np.zeros([side, side])
    for row in range(side):
        np.add.at(matrix[row], sources[row], weights / weights.sum())
    return matrix


@pytest.mark.parametrize("data", [DIGITS, COLORS], ids=["digits", "colors"])
def test_blur_is_a_gaussian(data):
    height, width, _ = data.image_shape
    rows, columns = (
        blurring_matrix(side, min(height, width) / 8)
        for side in (height, width)
    )
    expected = np.einsum("ij,njkc,lk->nilc", rows, data.x_train, columns)
    error = np.abs(shift(data, "blur").x_train - expected)
    # Rounded; beyond four standard deviations, weights are left out.
    assert error.max() < 0.5 + 1e-4 * data.levels


def test_blur_keeps_the_brightest_white():
    white = ImageData("white", np.full([1, 5, 5, 1], 255, np.uint8))
    assert (shift(white, "blur").x_train == 255).all()


def test_inverted_and_original_add_up(shifted):
    np.testing.assert_array_equal(shifted["invert"].x_test + DIGITS.x_test, 16)
    np.testing.assert_array_equal(
        shift(COLORS, "invert").x_train, 255 - COLORS.x_train
    )


def test_the_top_is_turned_to_the_left(shifted):
    for side in range(8):
        np.testing.assert_array_equal(
            shifted["rotate"].x_test[:, ::-1, side], DIGITS.x_test[:, side]
        )


def test_halves_are_exchanged(shifted):
    ours, theirs = shifted["shuffle"].x_test, DIGITS.x_test
    np.testing.assert_array_equal(ours[:, :, :4], theirs[:, :, 4:])
    np.testing.assert_array_equal(ours[:, :, 4:], theirs[:, :, :4])


@pytest.mark.parametrize("count", [3, 4, 5, 6, 359, 360])
def test_mix_takes_every_image_twice_and_no_pair_twice(count):
    images = DIGITS.x_test[:count]
    mixed = shift(ImageData("some", images, levels=17), "mix").x_train
    partners = []
    for image, mean in zip(images, mixed):
        means = np.rint((image.astype(float) + images) / 2)
        (found,) = np.flatnonzero((means == mean).all(axis=(1, 2, 3)))
        partners.append(found)
    assert sorted(partners) == list(range(count))
    pairs = {frozenset(pair) for pair in enumerate(partners)}
    assert len(pairs) == count and all(len(pair) == 2 for pair in pairs)


@pytest.mark.parametrize("levels", [256, 17])
def test_photographs_are_those_of_scikit_learn(levels):
    # Images as large as the photographs can only be all of them.
    images = np.zeros([8, 427, 640, 3], np.uint8)
    drawn = shift(ImageData("large", images, levels=levels), "photographs")
    photographs = datasets.load_sample_images().images
    expected = [photo.astype(int) * levels // 256 for photo in photographs]
    found = {
        tuple((image == photo).all() for photo in expected)
        for image in drawn.x_train
    }
    assert found == {(True, False), (False, True)}


def test_parts_of_photographs_are_averages():
    # One pixel stands for a part of random size at a random place: on average
    # it is as bright as the photographs, but it varies much less than theirs.
    images = np.zeros([500, 1, 1, 3], np.uint8)
    pixels = shift(ImageData("pixels", images), "photographs").x_train
    photographs = np.reshape(datasets.load_sample_images().images, [-1, 3])
    spread = photographs.std(axis=0)
    assert (pixels.std(axis=(0, 1, 2)) < 0.8 * spread).all()
    error = pixels.mean(axis=(0, 1, 2)) - photographs.mean(axis=0)
    assert (np.abs(error) < 0.3 * spread).all()


def test_photographs_are_smooth(shifted):
    drawn = shifted["photographs"].x_train[..., 0].astype(float)
    near = np.corrcoef(drawn[:, 1:].ravel(), drawn[:, :-1].ravel())[0, 1]
    assert near > 0.5
    assert (np.ptp(drawn, axis=(1, 2)) > 3).mean() > 0.5  # yet not empty


def test_photographs_are_enlarged_for_images_larger_than_them():
    images = np.zeros([2, 500, 3, 1], np.uint8)
    assert shift(ImageData("tall", images), "photographs").x_train.max() > 0


@pytest.mark.parametrize("name", ["", "blurred", None])
def test_rejects_unknown_names(name):
    with pytest.raises(ValueError, match="constant, noise, .* photographs"):
        shift(DIGITS, name)


def test_rejects_to_rotate_what_is_not_square():
    with pytest.raises(ValueError, match="rotate colors; received: 9x6 pixels"):
        shift(COLORS, "rotate")


def test_keeps_the_absence_of_a_test_part():
    data = dataclasses.replace(DIGITS, x_test=None, y_test=None)
    assert shift(data, "invert").x_test is None
