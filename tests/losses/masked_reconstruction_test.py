import numpy as np
import pytest
import tensorflow as tf

from clel_tf.losses import masked_reconstruction


def inputs():
    rng = np.random.default_rng(0)
    x, y = rng.random((2, 3, 4, 4, 2)).astype("float32")
    mask = (rng.random((3, 4, 4, 1)) < 0.4).astype("float32")
    return x, y, mask


def test_it_is_the_mean_over_hidden_pixels_and_channels():
    x, y, mask = inputs()
    hidden = np.repeat(mask, 2, axis=-1) > 0
    expected = np.mean((x[hidden] - y[hidden]) ** 2)
    loss = float(masked_reconstruction(x, y, mask))
    assert loss == pytest.approx(expected, rel=1e-5)


def test_pixels_that_are_seen_get_no_gradient():
    x, y, mask = inputs()
    drawn = tf.constant(y)
    with tf.GradientTape() as tape:
        tape.watch(drawn)
        loss = masked_reconstruction(x, drawn, mask)
    expected = 2 * mask * (y - x) / (2 * mask.sum())
    np.testing.assert_allclose(tape.gradient(loss, drawn), expected, atol=1e-6)


def test_nothing_hidden_is_no_loss():
    x, y, mask = inputs()
    assert float(masked_reconstruction(x, y, 0 * mask)) == 0.0
