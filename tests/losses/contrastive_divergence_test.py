import numpy as np
import pytest
import tensorflow as tf

from clel_tf.losses import contrastive_divergence

POSITIVE, NEGATIVE = np.array([1.0, 3.0, 2.0]), np.array([0.5, -1.5])


def test_by_hand():
    # Means 2 and -0.5; mean squares 14 / 3 and 1.25.
    expected = 2.5 + 0.1 * (14 / 3 + 1.25)
    loss = contrastive_divergence(POSITIVE, NEGATIVE, alpha=0.1)
    assert loss.dtype == tf.float32 and loss.shape == ()
    assert float(loss) == pytest.approx(expected)


def test_default_alpha_is_one():
    loss = contrastive_divergence(POSITIVE, NEGATIVE)
    assert float(loss) == pytest.approx(2.5 + 14 / 3 + 1.25)


def test_gradients_lower_data_and_raise_samples():
    positive, negative = tf.constant(POSITIVE), tf.constant(NEGATIVE)
    with tf.GradientTape() as tape:
        tape.watch([positive, negative])
        loss = contrastive_divergence(positive, negative, alpha=0.25)
    gradients = tape.gradient(loss, [positive, negative])
    expected = [(1 + 0.5 * POSITIVE) / 3, (-1 + 0.5 * NEGATIVE) / 2]
    for gradient, by_hand in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(gradient, by_hand, rtol=1e-6)


def test_low_precision_energies_are_summed_in_float32():
    energies = tf.cast(np.linspace(0.0, 1.0, 1001), tf.bfloat16)
    zeros = tf.zeros(1001, tf.bfloat16)
    exact = tf.cast(energies, tf.float64).numpy()
    loss = contrastive_divergence(energies, zeros, alpha=1.0)
    expected = exact.mean() + (exact**2).mean()
    assert float(loss) == pytest.approx(expected, rel=1e-5)
