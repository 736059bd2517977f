import numpy as np
import pytest
import tensorflow as tf

from clel_tf.losses import latent_alignment


def vectors(seed):
    return np.random.default_rng(seed).normal(size=(5, 4))


def by_loops(a, b):
    cosines = [
        x @ y / (np.linalg.norm(x) * np.linalg.norm(y))
        for x, y in zip(a, b, strict=True)
    ]
    return np.mean(cosines)


def test_matches_loops():
    similarity = latent_alignment(vectors(0), vectors(1))
    assert similarity.dtype == tf.float32 and similarity.shape == ()
    expected = by_loops(vectors(0), vectors(1))
    assert float(similarity) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("scale,expected", [(3.0, 1.0), (-0.01, -1.0)])
def test_scale_does_not_matter(scale, expected):
    similarity = latent_alignment(vectors(0), scale * vectors(0))
    assert float(similarity) == pytest.approx(expected, rel=1e-5)


def test_gradient_turns_the_latents_and_not_the_targets():
    a, b = vectors(0), vectors(1)
    tensors = [tf.constant(a), tf.constant(b)]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        similarity = latent_alignment(*tensors)
    gradient, none = tape.gradient(similarity, tensors)
    assert none is None
    step = np.zeros((5, 4))
    step[2, 1] = 1e-5
    slope = by_loops(a + step, b) - by_loops(a - step, b)
    assert gradient[2, 1].numpy() == pytest.approx(slope / 2e-5, rel=1e-3)
    # Lengths are free: nothing pulls along the latents themselves.
    np.testing.assert_allclose(np.sum(gradient * a, axis=1), 0.0, atol=1e-6)
