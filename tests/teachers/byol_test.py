import numpy as np
import pytest
import tensorflow as tf
from linear_model import build
from linear_model import embeddings
from linear_model import images
from linear_model import unit

from clel_tf import teachers


@pytest.fixture
def model():
    return build(teachers.BYOL(momentum=0.75, predictor_width=5, seed=0))


def move(variables, seed):
    """Values apart from those that they follow, or begin with."""
    rng = np.random.default_rng(seed)
    for variable in variables:
        variable.assign_add(rng.normal(0.0, 0.3, variable.shape))


def predicted(teacher, x):
    """The predictor in training, from its weights."""
    kernel, scale, shift, *_, last, bias = teacher.predictor.get_weights()
    if kernel.shape[0] != x.shape[1]:
        raise AssertionError("weights in another order")
    x = x @ kernel
    x = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)
    return np.maximum(x * scale + shift, 0.0) @ last + bias


def test_the_loss_is_of_predictions_of_the_other_view(model):
    teacher = model.teacher
    move(teacher.target_encoder.weights, 1)
    move(teacher.predictor.trainable_variables, 2)
    views = images(6, seed=1), images(6, seed=2)
    expected = 0.0
    predictions = predicted(
        teacher, np.concatenate([embeddings(model.encoder, v) for v in views])
    )
    for p, other in zip(np.split(predictions, 2), views[::-1]):
        t = unit(embeddings(teacher.target_encoder, other))
        expected += np.sum((unit(p) - t) ** 2, axis=1).mean()
    loss = teacher.loss(model.encoder, views)
    assert float(loss) == pytest.approx(expected, rel=1e-4)


def test_encoder_and_predictor_learn_and_the_target_does_not(model):
    teacher = model.teacher
    views = images(6, seed=1), images(6, seed=2)
    variables = model._encoder_variables
    assert len(variables) == 2 + 5
    target = teacher.target_encoder.variables
    with tf.GradientTape() as tape:
        tape.watch([v.value for v in target])
        loss = teacher.loss(model.encoder, views)
    gradients = tape.gradient(loss, [*variables, *(v.value for v in target)])
    assert all(np.abs(g).max() > 0 for g in gradients[:7])
    assert gradients[7:] == [None] * len(target)


def test_the_target_follows_after_steps_that_were_healthy(model):
    teacher, encoder = model.teacher, model.encoder
    for a, b in zip(teacher.target_encoder.weights, encoder.weights):
        np.testing.assert_array_equal(a, b)
    move(encoder.weights, 1)
    before = teacher.target_encoder.get_weights()
    teacher.after_step(encoder, tf.constant(False))
    for a, b in zip(teacher.target_encoder.get_weights(), before):
        np.testing.assert_array_equal(a, b)
    teacher.after_step(encoder, tf.constant(True))
    moved = zip(
        teacher.target_encoder.get_weights(), before, encoder.get_weights()
    )
    for received, old, live in moved:
        expected = 0.75 * old + 0.25 * live
        np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-7)
