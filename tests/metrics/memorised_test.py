import numpy as np
import pytest

from clel_tf.metrics import memorised

REFERENCE = np.array([[0.0], [10.0], [20.0]])
# Nearest references at 1, 2 and 4: a copy is closer than 0.5.
HELD_OUT = np.array([[1.0], [12.0], [24.0]])


def test_by_hand():
    samples = np.array([[0.0], [0.4], [9.6], [10.6], [20.5]])
    assert memorised(samples, REFERENCE, HELD_OUT) == pytest.approx(0.6)


def test_fraction_moves_the_limit():
    samples = np.array([[0.4], [0.9], [1.9], [2.1]])
    assert memorised(samples, REFERENCE, HELD_OUT, fraction=0.5) == 0.5
    assert memorised(samples, REFERENCE, HELD_OUT, fraction=1.0) == 0.75


def test_copies_and_held_out_images():
    rng = np.random.default_rng(0)
    train = rng.random((50, 4, 4, 1), np.float32)
    test = rng.random((40, 4, 4, 1), np.float32)
    assert memorised(train[:20], train, test) == 1.0
    assert memorised(test, train, test) == 0.0


def test_rejects():
    with pytest.raises(ValueError, match="fraction > 0; received: 0"):
        memorised(HELD_OUT, REFERENCE, HELD_OUT, fraction=0)
    with pytest.raises(ValueError, match=r"equal dimension.*\[1, 1, 2\]"):
        memorised(HELD_OUT, REFERENCE, np.zeros([3, 2]))
    with pytest.raises(ValueError, match="held_out of shape"):
        memorised(HELD_OUT, REFERENCE, np.zeros([0, 1]))
