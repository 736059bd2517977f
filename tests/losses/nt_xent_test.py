import numpy as np
import pytest
import tensorflow as tf

from clel_tf.losses import nt_xent


def unit_vectors(count, dimension, seed):
    z = np.random.default_rng(seed).normal(size=(count, dimension))
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def by_loops(z, negatives, temperature):
    terms, n = [], len(z) // 2
    for i in range(2 * n):
        partner = i + n if i < n else i - n
        total = sum(
            np.exp(z[i] @ z[j] / temperature) for j in range(2 * n) if j != i
        )
        total += sum(np.exp(z[i] @ m / temperature) for m in negatives)
        terms.append(-np.log(np.exp(z[i] @ z[partner] / temperature) / total))
    return np.mean(terms)


@pytest.mark.parametrize("temperature", [0.1, 0.2, 1.0])
@pytest.mark.parametrize("negatives", [0, 5])
def test_matches_loops(negatives, temperature):
    z, extra = unit_vectors(8, 3, seed=0), unit_vectors(negatives, 3, seed=1)
    loss = nt_xent(z, extra if negatives else None, temperature)
    assert loss.dtype == tf.float32
    assert float(loss) == pytest.approx(by_loops(z, extra, temperature), 1e-5)


def test_default_temperature_is_the_papers():
    z = unit_vectors(6, 4, seed=2)
    assert float(nt_xent(z)) == pytest.approx(by_loops(z, [], 0.2), rel=1e-5)


def test_one_image_without_negatives_has_no_loss():
    assert float(nt_xent(unit_vectors(2, 4, seed=0))) == pytest.approx(0.0)


def test_identical_vectors_give_the_logarithm_of_the_choices():
    z = np.tile([[0.6, 0.8]], (6, 1))
    assert float(nt_xent(z)) == pytest.approx(np.log(5), rel=1e-5)
    assert float(nt_xent(z, z[:4])) == pytest.approx(np.log(9), rel=1e-5)


def test_gradients_match_finite_differences():
    arrays = [unit_vectors(6, 3, seed=0), unit_vectors(4, 3, seed=1)]
    tensors = [tf.constant(a, tf.float32) for a in arrays]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        loss = nt_xent(*tensors, temperature=0.5)
    gradients = tape.gradient(loss, tensors)
    for which, place in ((0, (1, 2)), (0, (4, 0)), (1, (3, 1))):
        moved = []
        for step in (1e-5, -1e-5):
            copies = [a.copy() for a in arrays]
            copies[which][place] += step
            moved.append(by_loops(*copies, 0.5))
        slope = (moved[0] - moved[1]) / 2e-5
        assert gradients[which][place].numpy() == pytest.approx(slope, rel=1e-3)


def test_stopped_negatives_push_the_anchors_only():
    z = tf.constant(unit_vectors(6, 3, seed=0), tf.float32)
    negatives = tf.constant(unit_vectors(4, 3, seed=1), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([z, negatives])
        stopped = nt_xent(z, tf.stop_gradient(negatives))
        alone = nt_xent(z)
    assert tape.gradient(stopped, negatives) is None
    pushed = tape.gradient(stopped, z) - tape.gradient(alone, z)
    assert np.abs(pushed).max() > 1e-3


def test_parts_with_the_other_parts_as_negatives_make_the_loss_of_all():
    first, second = unit_vectors(7, 3, seed=0), unit_vectors(7, 3, seed=1)
    generated = unit_vectors(4, 3, seed=2)
    parts = [
        np.concatenate([first[rows], second[rows]])
        for rows in (slice(0, 5), slice(5, 7))
    ]
    losses = [
        nt_xent(own, np.concatenate([generated, other]))
        for own, other in (parts, parts[::-1])
    ]
    whole = by_loops(np.concatenate([first, second]), generated, 0.2)
    mean = (5 * float(losses[0]) + 2 * float(losses[1])) / 7
    assert mean == pytest.approx(whole, rel=1e-5)


def test_low_precision_latents_are_compared_in_float32():
    z = tf.cast(unit_vectors(8, 16, seed=3), tf.bfloat16)
    expected = by_loops(z.numpy().astype("float64"), [], 0.2)
    assert float(nt_xent(z)) == pytest.approx(expected, rel=1e-5)


def test_compiles_with_a_dynamic_batch():
    z = unit_vectors(8, 3, seed=0).astype("float32")
    signature = [tf.TensorSpec((None, 3))]
    loss = tf.function(nt_xent, input_signature=signature)
    assert float(loss(z)) == pytest.approx(by_loops(z, [], 0.2), rel=1e-5)
