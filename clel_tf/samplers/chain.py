"""What chains of every kernel share: the loop, gradients, projections."""

import math

import tensorflow as tf

from clel_tf.backend import require_tensorflow


def run(state, step, num_steps, info):
    """Runs `num_steps` steps of a Markov chain in one `tf.while_loop`.

    Memory does not grow with the number of steps, and no gradient flows back
    through the chain. A second call on the returned state continues the chain
    exactly.

    Args:
        state: NamedTuple of tensors of `n` rows and of an int32 scalar `step`,
            the number of steps made.
        step: function of such a state giving the next one, with its `step`
            larger by one, and a NamedTuple of tensors of `n` rows: what it saw.
        num_steps: int or int32 tensor >= 0, a scalar or of shape `(n,)`: each
            chain's own number. As a tensor it may vary without retracing.
        info: what to return where no step is made; see `no_info`.

    Returns:
        Tuple of the last state and of what the last step saw. Chains of fewer
        steps than others stay where they were after their own last one.

    Example:

    >>> from typing import NamedTuple
    >>> from clel_tf.samplers import chain
    >>> class State(NamedTuple):
    ...     samples: tf.Tensor
    ...     step: tf.Tensor
    >>> class Info(NamedTuple):
    ...     before: tf.Tensor
    >>> state = State(tf.ones(2), tf.constant(0))
    >>> state, info = chain.run(
    ...     state,
    ...     lambda s: (State(2.0 * s.samples, s.step + 1), Info(s.samples)),
    ...     tf.constant([3, 5]), chain.no_info(Info, state.samples))
    >>> state.samples.numpy().tolist(), info.before.numpy().tolist()
    ([8.0, 32.0], [4.0, 16.0])
    """
    require_tensorflow("A Markov chain")
    state, info = tf.nest.map_structure(tf.stop_gradient, (state, info))
    last = state.step + num_steps
    longest = tf.reduce_max(last)

    def body(state, info):
        moved, seen = step(state)
        if last.shape.rank == 0:
            return moved, seen
        moving = state.step < last
        return where(moving, moved, state), where(moving, seen, info)

    result = tf.while_loop(
        lambda state, _: state.step < longest, body, (state, info)
    )
    return tf.nest.map_structure(tf.stop_gradient, result)


def no_info(kind, samples):
    """A NamedTuple of this kind of zeros, float32 `(n,)`, of `n` samples."""
    zeros = tf.zeros(tf.shape(samples)[:1])
    return kind(*[zeros] * len(kind._fields))


def where(rows, chosen, other):
    """Of two structures, each row from one; scalars are the first's.

    Args:
        rows: bool tensor of shape `(n,)`: whether to take `chosen`.
        chosen: structure of tensors, scalars or of shape `(n, ...)`.
        other: structure of the same kind.

    Returns:
        Structure of the same kind.
    """

    def choose(a, b):
        if a.shape.rank == 0:
            return a
        shape = [-1] + [1] * (a.shape.rank - 1)
        return tf.where(tf.reshape(rows, shape), a, b)

    return tf.nest.map_structure(choose, chosen, other)


def energy_and_gradient(energy_fn, samples):
    """Energies `(n,)` and their gradient with respect to samples `(n, ...)`.

    Raises:
        ValueError: if the energy does not depend on the samples.
    """
    require_tensorflow("A Markov chain")
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(samples)
        energy = energy_fn(samples)
    gradient = tape.gradient(energy, samples)
    if gradient is None:
        raise ValueError("Expected an energy that depends on the samples.")
    return energy, gradient


def projected(samples, project):
    """`project(samples)`, of the same shape, or `samples` if it is None."""
    if project is None:
        return samples
    values = tf.convert_to_tensor(project(samples), samples.dtype)
    return tf.ensure_shape(values, samples.shape)


def row_sum(values):
    """Sums of the rows of `(n, ...)`, of shape `(n,)`."""
    return tf.reduce_sum(values, axis=range(1, values.shape.rank))


def row_norm(values):
    """Euclidean norms of the rows of `(n, ...)`, of shape `(n,)`."""
    return tf.sqrt(row_sum(tf.square(values)))


def root_mean_square(values):
    """Root mean squares of the rows of `(n, ...)`, of shape `(n,)`."""
    return tf.sqrt(row_sum(tf.square(values)) / math.prod(values.shape[1:]))
