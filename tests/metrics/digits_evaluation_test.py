import json

import numpy as np
import pytest
from sklearn.datasets import load_digits

from clel_tf.metrics import DigitsEvaluator

KEYS = {
    "frechet_distance",
    "frechet_distance_test_split",
    "pixel_frechet_distance",
    "precision",
    "coverage",
    "memorised",
    "class_histogram",
}


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    x = data.images[..., np.newaxis].astype(np.uint8)
    y = data.target
    test = np.arange(len(x)) % 5 == 4
    return x[~test], y[~test], x[test]


@pytest.fixture(scope="module")
def evaluator(digits):
    return DigitsEvaluator(*digits)


@pytest.fixture(scope="module")
def floors(evaluator):
    return evaluator.floors()


def gaussian_images(x, n):
    pixels = ((x + 0.5) / 17).reshape(len(x), -1)
    rng = np.random.default_rng(0)
    covariance = np.cov(pixels, rowvar=False)
    draws = rng.multivariate_normal(pixels.mean(axis=0), covariance, n)
    return draws.clip(0.0, 1.0).reshape(n, 8, 8, 1)


def test_figures_rank_what_is_known_to_be_better(digits, evaluator, floors):
    gaussian = evaluator.figures(gaussian_images(digits[0], 1000))
    noise, train = floors["noise"], floors["resampled_train"]
    assert train["frechet_distance"] < 0.15
    assert 0.7 < gaussian["frechet_distance"] < 1.7
    assert 13 < noise["frechet_distance"] < 25
    assert noise["precision"] == noise["coverage"] == 0.0
    assert 0.05 < gaussian["precision"] < 0.4 < train["precision"]
    assert gaussian["coverage"] < 0.2 < 0.9 < train["coverage"]
    pixels = [
        figures["pixel_frechet_distance"]
        for figures in (train, gaussian, noise)
    ]
    assert pixels == sorted(pixels)


def test_memorised_knows_copies_from_new_images(floors):
    assert floors["resampled_train"]["memorised"] == 1.0
    assert floors["test_split"]["memorised"] < 0.02
    assert floors["noise"]["memorised"] == 0.0


def test_each_split_is_nearest_to_itself(floors):
    test, train = floors["test_split"], floors["resampled_train"]
    assert test["frechet_distance_test_split"] < test["frechet_distance"]
    assert train["frechet_distance"] < train["frechet_distance_test_split"]
    assert 0.6 < test["precision"] < 1.0


def test_the_training_set_itself_is_exact(digits, evaluator):
    x, y, _ = digits
    figures = evaluator.figures((x + 0.5) / 17)
    assert figures["frechet_distance"] < 1e-9
    assert figures["pixel_frechet_distance"] < 1e-12
    assert figures["precision"] == figures["coverage"] == 1.0
    expected = np.bincount(y) / len(y)
    np.testing.assert_allclose(figures["class_histogram"], expected, atol=2e-3)


def test_against_chooses_the_reference(digits, evaluator):
    test = ((digits[2] + 0.5) / 17).astype(np.float32)
    figures = evaluator.figures(test, against="test")
    assert figures["frechet_distance"] < 1e-9
    assert figures["pixel_frechet_distance"] < 1e-12
    assert figures["precision"] == figures["coverage"] == 1.0
    train = (digits[0] + 0.5) / 17  # memorised whatever they stand against
    assert evaluator.figures(train, against="test")["memorised"] == 1.0
    with pytest.raises(ValueError, match="'train' or 'test'.*'valid'"):
        evaluator.figures(test, against="valid")


def test_figures_are_plain_numbers(floors):
    assert set(floors) == {"test_split", "resampled_train", "noise"}
    for figures in floors.values():
        assert set(figures) == KEYS
        histogram = figures["class_histogram"]
        assert len(histogram) == 10
        assert sum(histogram) == pytest.approx(1.0)
        numbers = [v for k, v in figures.items() if k != "class_histogram"]
        assert {type(v) for v in numbers + histogram} == {float}
    assert json.loads(json.dumps(floors)) == floors


def test_same_seed_same_figures(digits, evaluator):
    again = DigitsEvaluator(*digits).floors(n=100, seed=3)
    assert again == evaluator.floors(n=100, seed=3)
    assert again != evaluator.floors(n=100, seed=4)


def test_noise_is_uniform_and_seeded(evaluator):
    noise = evaluator.noise(500, seed=1)
    assert noise.shape == (500, 8, 8, 1) and noise.dtype == np.float32
    assert noise.mean() == pytest.approx(0.5, abs=0.01)
    assert noise.var() == pytest.approx(1 / 12, abs=0.002)
    np.testing.assert_array_equal(noise, evaluator.noise(500, seed=1))
    assert (noise != evaluator.noise(500, seed=2)).mean() > 0.99


@pytest.mark.parametrize(
    "images, error, message",
    [
        (np.zeros([4, 8, 8, 1], np.uint8), TypeError, "float.*uint8"),
        (np.zeros([4, 8, 8]), ValueError, r"received: shape \(4, 8, 8\)"),
        (np.zeros([4, 8, 8, 3]), ValueError, r"\[n, 8, 8, 1\]"),
        (np.zeros([0, 8, 8, 1]), ValueError, "n > 3"),
        (np.zeros([3, 8, 8, 1]), ValueError, "n > 3"),
        (np.full([4, 8, 8, 1], 1.01), ValueError, r"in \[0, 1\].*1.01"),
        (np.full([4, 8, 8, 1], -0.01), ValueError, r"in \[0, 1\].*-0.01"),
        (np.full([4, 8, 8, 1], np.nan), ValueError, "finite images"),
        (np.full([4, 8, 8, 1], np.inf), ValueError, "finite images"),
    ],
)
def test_rejects_images(evaluator, images, error, message):
    with pytest.raises(error, match=message):
        evaluator.figures(images)


X = np.zeros([20, 8, 8, 1], np.uint8)
Y = np.arange(20) % 10


@pytest.mark.parametrize(
    "x_train, y_train, x_test, error, message",
    [
        (X / 17, Y, X, TypeError, "x_train of dtype uint8.*float64"),
        (X, Y, X[..., 0], ValueError, "x_test of shape"),
        (X + np.uint8(17), Y, X, ValueError, "x_train below levels=17.*17"),
        (X, Y[:10], X, ValueError, r"y_train of shape \(20,\)"),
        (X, Y % 9, X, ValueError, "all of 0 to 9"),
        (X, Y / 1, X, TypeError, "y_train of integers.*float64"),
    ],
)
def test_rejects_data(x_train, y_train, x_test, error, message):
    with pytest.raises(error, match=message):
        DigitsEvaluator(x_train, y_train, x_test)
