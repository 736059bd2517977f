import os

import numpy as np
import pytest

from clel_tf.data import STATISTICS

_CIFAR10 = os.environ.get("CLEL_TF_CIFAR10_NPZ")


@pytest.mark.skipif(
    _CIFAR10 is None,
    reason="CLEL_TF_CIFAR10_NPZ names no npz file of CIFAR-10's x_train",
)
def test_cifar10_is_that_of_a_sample_of_cifar10():
    with np.load(_CIFAR10) as archive:
        images = archive["x_train"] / np.float32(255)
    mean, std = STATISTICS["cifar10"]
    means = images.mean((1, 2))  # of one image each: pixels are not independent
    squares = ((images - mean) ** 2).mean((1, 2))
    for figure, expected in ((means, mean), (squares, np.square(std))):
        error = figure.std(0) / np.sqrt(len(figure))
        assert (np.abs(figure.mean(0) - expected) < 4 * error).all()


def test_every_set_has_three_channels_in_the_unit_interval():
    for moments in STATISTICS.values():
        assert np.shape(moments) == (2, 3)
        assert 0 < np.min(moments) and np.max(moments) < 1
