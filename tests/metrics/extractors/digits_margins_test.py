import json

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.svm import SVC

from clel_tf.metrics import DigitsEvaluator
from clel_tf.metrics import extractors
from clel_tf.metrics import frechet_distance


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    x = data.images[..., np.newaxis].astype(np.uint8)
    test = np.arange(len(x)) % 5 == 4
    return x[~test], data.target[~test], x[test], data.target[test]


@pytest.fixture(scope="module")
def extractor(digits):
    return extractors.DigitsMargins(*digits[:2])


def midpoints(x):
    return (x + 0.5) / 17


def test_margins_are_those_of_each_pair_of_classes(digits, extractor):
    x, y, x_test, _ = digits
    # Of two classes alone, a classifier with the width of all.
    pair = np.isin(y, [0, 1])
    width = 1 / (64 * midpoints(x).var())
    alone = SVC(gamma=width).fit(midpoints(x[pair]).reshape(-1, 64), y[pair])
    expected = -alone.decision_function(midpoints(x_test).reshape(-1, 64))
    margins = extractor(midpoints(x_test)).features
    assert margins.shape == (len(x_test), 45)
    np.testing.assert_allclose(margins[:, 0], expected, atol=1e-6)


def test_the_evaluators_distance_is_that_of_these_features(digits, extractor):
    x, y, x_test, _ = digits
    images = midpoints(x_test)
    figures = DigitsEvaluator(x, y, x_test).figures(images)
    distance = frechet_distance(
        extractor(images).features, extractor(midpoints(x)).features
    )
    assert distance == figures["frechet_distance"] > 0


def test_classes_are_the_digits(digits, extractor):
    _, _, x_test, y_test = digits
    accuracy = np.mean(extractor.classes(midpoints(x_test)) == y_test)
    assert accuracy > 0.97


def test_bytes_and_their_midpoints_have_the_same_margins(extractor):
    images = np.random.default_rng(0).integers(0, 256, [4, 8, 8, 1], np.uint8)
    expected = extractor((images + 0.5) / 256).features
    np.testing.assert_array_equal(extractor(images).features, expected)


def test_identity_tells_the_training_data(digits, extractor):
    identity = extractor.identity()
    assert json.loads(json.dumps(identity)) == identity
    assert (identity["name"], identity["levels"]) == ("digits", 17)
    x, y = digits[:2]
    again = extractors.DigitsMargins(x, y.astype(np.int32)).identity()
    assert again == identity
    other = extractors.DigitsMargins(x[:-1], y[:-1]).identity()
    assert other["sha256"] != identity["sha256"]


X = np.zeros([20, 8, 8, 1], np.uint8)
Y = np.arange(20) % 10


@pytest.mark.parametrize(
    "x_train, y_train, error, message",
    [
        (X / 17, Y, TypeError, "x_train of dtype uint8.*float64"),
        (X[..., 0], Y, ValueError, r"\(n, 8, 8, 1\).*\(20, 8, 8\)"),
        (X + np.uint8(17), Y, ValueError, "below 17.*17"),
        (X, Y[:10], ValueError, r"y_train of shape \(20,\)"),
        (X, Y % 9, ValueError, "all of 0 to 9"),
        (X, Y / 1, TypeError, "y_train of integers.*float64"),
    ],
)
def test_other_training_data_is_refused(x_train, y_train, error, message):
    with pytest.raises(error, match=message):
        extractors.DigitsMargins(x_train, y_train)


def test_other_images_are_refused(extractor):
    with pytest.raises(ValueError, match=r"\(n, 8, 8, 1\)"):
        extractor(np.zeros([2, 4, 16, 1]))
