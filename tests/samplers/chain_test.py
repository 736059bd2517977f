from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from clel_tf.samplers import chain


class State(NamedTuple):
    samples: tf.Tensor
    total: tf.Tensor
    step: tf.Tensor


class Info(NamedTuple):
    total: tf.Tensor


def step(state):
    total = state.total + state.samples[:, 0]
    moved = State(2.0 * state.samples, total, state.step + 1)
    return moved, Info(state.total)


def run(counts):
    state = State(tf.ones((3, 2)), tf.zeros(3), tf.constant(0))
    return chain.run(state, step, counts, chain.no_info(Info, state.samples))


def test_every_part_of_a_state_makes_its_rows_steps():
    counts = np.array([0, 1, 5])
    state, info = run(tf.constant(counts, tf.int32))
    samples = np.repeat(2.0**counts, 2).reshape(3, 2)
    np.testing.assert_array_equal(state.samples, samples)
    np.testing.assert_array_equal(state.total, 2.0**counts - 1)
    # Before its last step a row had made one step less.
    np.testing.assert_array_equal(info.total, [0, 0, 2.0**4 - 1])
    assert int(state.step) == 5


def test_a_number_of_steps_for_all():
    state, info = run(4)
    np.testing.assert_array_equal(state.total, [15.0] * 3)
    np.testing.assert_array_equal(info.total, [7.0] * 3)


def test_no_gradient_flows_from_any_part():
    start = tf.ones((3, 2))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(start)
        state = State(start, start[:, 0], tf.constant(0))
        (samples, total, _), info = chain.run(state, step, 2, Info(start[:, 0]))
    outputs = samples, total, info.total
    assert [tape.gradient(x, start) for x in outputs] == [None] * 3


def test_where_takes_rows_from_two_structures():
    first = State(tf.ones((3, 2)), tf.ones(3), tf.constant(7))
    other = State(tf.zeros((3, 2)), tf.zeros(3), tf.constant(0))
    rows = tf.constant([True, False, True])
    state = chain.where(rows, first, other)
    np.testing.assert_array_equal(state.samples, [[1, 1], [0, 0], [1, 1]])
    np.testing.assert_array_equal(state.total, [1, 0, 1])
    assert int(state.step) == 7


def test_refuses_an_energy_of_something_else():
    with pytest.raises(ValueError, match="Expected an energy that depends"):
        chain.energy_and_gradient(lambda x: tf.ones(2), tf.ones((2, 3)))


def test_refuses_a_projection_to_another_shape():
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        chain.projected(tf.ones((2, 3)), lambda x: x[:, :2])


def test_norms_and_means_of_rows():
    rows = np.random.default_rng(0).normal(size=(3, 8))
    x = tf.constant(rows.reshape(3, 4, 2), tf.float32)
    norms = np.sqrt((rows**2).sum(axis=1))
    np.testing.assert_allclose(chain.row_sum(x), rows.sum(1), atol=1e-6)
    np.testing.assert_allclose(chain.row_norm(x), norms, 1e-6)
    means = norms / 8**0.5
    np.testing.assert_allclose(chain.root_mean_square(x), means, 1e-6)
