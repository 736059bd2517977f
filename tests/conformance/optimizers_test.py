import keras
import numpy as np
import pytest
import tensorflow as tf
from comparison import as_array
from comparison import relative_error
from comparison import torch

from clel_tf.optimizers import Adam
from clel_tf.optimizers.recipe import from_recipe

STEPS = 20
TOLERANCE = 1e-4


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def gradients():
    # Of each of the steps, from 1e-6 in the first row to 1 in the last.
    scales = np.logspace(-6, 0, 7, dtype="float32")[:, np.newaxis]
    return [scales * normal(7, 5, seed=1 + step) for step in range(STEPS)]


def movement_ours(optimizer, l2=0.0):
    variable = keras.Variable(normal(7, 5))
    for gradient in gradients():
        with tf.GradientTape() as tape:
            # The penalty as CLEL has it: in the loss.
            loss = tf.reduce_sum(variable.value * gradient)
            loss += l2 * tf.nn.l2_loss(variable.value)
        optimizer.apply(tape.gradient(loss, [variable.value]), [variable])
    return as_array(variable) - as_array(normal(7, 5))


def factors(rate):
    return lambda x: torch.optim.lr_scheduler.LambdaLR(x, rate)


CONSTANT = factors(lambda step: 1.0)


def movement_theirs(build, build_schedule=CONSTANT):
    parameter = torch.nn.Parameter(torch.tensor(normal(7, 5)))
    optimizer = build([parameter])
    schedule = build_schedule(optimizer)
    for gradient in gradients():
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
        schedule.step()
    return as_array(parameter) - as_array(normal(7, 5))


def assert_close(movement, expected):
    # By rows, lest the small gradients' hide behind the large ones'.
    for row, other in zip(movement, expected):
        assert relative_error(row, other) <= TOLERANCE


def torch_adam(**options):
    return lambda parameters: torch.optim.Adam(
        parameters, betas=(0.0, 0.999), **options
    )


@pytest.mark.parametrize("epsilon", [1e-8, 1e-3])
def test_adam_agrees(epsilon):
    ours = Adam(0.1, beta_1=0.0, beta_2=0.999, epsilon=epsilon)
    expected = movement_theirs(torch_adam(lr=0.1, eps=epsilon))
    assert_close(movement_ours(ours), expected)


def test_adam_with_momentum_agrees():
    ours = Adam(0.1, beta_1=0.9, beta_2=0.99, epsilon=1e-5)
    expected = movement_theirs(
        lambda p: torch.optim.Adam(p, lr=0.1, betas=(0.9, 0.99), eps=1e-5)
    )
    assert_close(movement_ours(ours), expected)


@pytest.mark.parametrize("l2", [0.0, 5e-4, 5e-2])
def test_the_recipes_sgd_with_coupled_l2_and_cosine_agrees(l2):
    _, ours = from_recipe({})
    expected = movement_theirs(
        lambda p: torch.optim.SGD(p, 0.03, momentum=0.9, weight_decay=l2),
        lambda x: torch.optim.lr_scheduler.CosineAnnealingLR(x, 100_000),
    )
    assert_close(movement_ours(ours, l2=l2), expected)


def test_adam_under_the_recipes_warm_up_agrees():
    options = {"learning_rate": 0.1, "warmup_steps": 10}
    adam, _ = from_recipe({"energy_optimizer": options}, total_steps=STEPS)
    expected = movement_theirs(
        torch_adam(lr=0.1), factors(lambda s: min((s + 1) / 10, 1.0))
    )
    assert_close(movement_ours(adam), expected)
