import numpy as np
from sklearn import datasets

from clel_tf.data.digits import load_digits


def test_holds_all_digits_in_two_parts():
    data, original = load_digits(), datasets.load_digits()
    images = np.concatenate([data.x_train, data.x_test])[..., 0]
    labels = np.concatenate([data.y_train, data.y_test])
    parts = sorted((y, *x.ravel()) for x, y in zip(images, labels, strict=True))
    whole = zip(original.images.astype(int), original.target, strict=True)
    assert parts == sorted((y, *x.ravel()) for x, y in whole)


def test_has_the_shapes_and_levels_of_digits():
    data = load_digits()
    assert data.x_train.shape == (1437, 8, 8, 1)
    assert data.x_test.shape == (360, 8, 8, 1)
    assert data.x_train.dtype == data.x_test.dtype == np.uint8
    assert (data.levels, data.x_train.min(), data.x_train.max()) == (17, 0, 16)
    assert data.class_names == tuple("0123456789")


def test_classes_are_alike_in_both_parts():
    data = load_digits()
    train = np.bincount(data.y_train) / 1437
    test = np.bincount(data.y_test) / 360
    np.testing.assert_allclose(train, test, atol=1 / 360)
