import numpy as np
import pytest

from clel_tf.metrics import knn_accuracy

TRAIN = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [-1.0, 0.0]])
LABELS = np.array([0, 0, 1, 2])


def test_by_hand():
    test = np.array([[2.0, 0.1], [0.1, 3.0], [-1.0, 0.1], [-0.1, -1.0]])
    assert knn_accuracy(TRAIN, LABELS, test, [0, 1, 2, 1]) == 0.75
    assert knn_accuracy(TRAIN, LABELS, test, [1, 0, 0, 0]) == 0.0


def test_neighbours_are_chosen_by_angle():
    # The nearest point of the plane is [0, 1], the nearest direction [1, 0].
    train = np.array([[10.0, 0.0], [0.0, 1.0]])
    assert knn_accuracy(train, [0, 1], [[1.0, 0.9]], [0]) == 1.0


def test_majority_of_k():
    test = np.array([[0.6, 0.8]])  # nearest is label 1, then 0 and 0
    assert knn_accuracy(TRAIN, LABELS, test, [1]) == 1.0
    assert knn_accuracy(TRAIN, LABELS, test, [0], k=3) == 1.0


def test_rejects():
    with pytest.raises(ValueError, match=r"train_labels of shape \(4,\)"):
        knn_accuracy(TRAIN, LABELS[:3], TRAIN, LABELS)
    with pytest.raises(ValueError, match=r"test_labels of shape \(4,\)"):
        knn_accuracy(TRAIN, LABELS, TRAIN, LABELS[:, np.newaxis])
    with pytest.raises(ValueError, match="k from 1 to 4; received: 5"):
        knn_accuracy(TRAIN, LABELS, TRAIN, LABELS, k=5)
    with pytest.raises(ValueError, match="equal dimension"):
        knn_accuracy(TRAIN, LABELS, TRAIN[:, :1], LABELS)
