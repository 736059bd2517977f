"""Langevin dynamics in image space: a pure step and a compiled chain.

    x <- clip(x - step_size * clip(dE/dx) + noise_scale * n, 0, 1),  n ~ N(0, I)

Away from the bounds and for small steps the chain samples `exp(-E(x) / T)` at
the temperature `T = noise_scale**2 / (2 * step_size)`. It is uncorrected (no
Metropolis step; `clel_tf.samplers.metropolis` has one), and the practice of
energy-based models, followed here, sets `noise_scale` well below
`sqrt(2 * step_size)`, so `T` is far below 1. Energies are -log densities at
that temperature: low energy is high probability.
"""

from typing import NamedTuple

import tensorflow as tf

from clel_tf import random
from clel_tf.samplers import chain


class LangevinState(NamedTuple):
    """Where the chains are.

    Attributes:
        samples: float32 tensor of shape `(n, ...)`, in [0, 1].
        step: int32 scalar, steps made; it selects the noise of the next one.
    """

    samples: tf.Tensor
    step: tf.Tensor


class LangevinInfo(NamedTuple):
    """What the last step of the chains saw; float32 tensors of shape `(n,)`.

    Attributes:
        energy: energy before the step.
        gradient_norm: Euclidean norm of the energy's gradient before the step.
        displacement: root mean square change of a pixel over the step.
    """

    energy: tf.Tensor
    gradient_norm: tf.Tensor
    displacement: tf.Tensor


def init(samples):
    """Returns the state of chains that start at `samples`."""
    return LangevinState(tf.convert_to_tensor(samples), tf.constant(0))


def langevin_step(
    state,
    energy_fn,
    keys,
    *,
    step_size,
    noise_scale,
    gradient_clip=None,
    project=None,
):
    """Moves every chain by one step of Langevin dynamics.

    Args:
        state: `LangevinState`.
        energy_fn: function of float32 `(n, ...)` giving energies `(n,)`. The
            energy of a row must depend on that row alone.
        keys: uint64 tensor of shape `(n,)`, one key of `clel_tf.random` a
            chain; step `t` draws from `fold_in(key, t)`.
        step_size: float, scalar or `(n,)` tensor > 0, in squared pixel units
            per unit of energy, or a schedule: a function of the chain's step,
            an int32 scalar tensor, giving such a value.
        noise_scale: likewise, >= 0. Standard deviation of the noise of one
            step, in pixel units.
        gradient_clip: float or None. Bound on each element of the gradient.
        project: None, or a function of float32 `(n, ...)` giving samples of
            that shape, applied last: a constraint that holds exactly, such as
            known pixels.

    Returns:
        Tuple of the next `LangevinState` and a `LangevinInfo`.
    """
    energy, gradient = chain.energy_and_gradient(energy_fn, state.samples)
    drift = gradient
    if gradient_clip is not None:
        drift = tf.clip_by_value(gradient, -gradient_clip, gradient_clip)
    noise = random.normal(
        random.fold_in(keys, state.step), tuple(state.samples.shape[1:])
    )
    step_size = _at(step_size, state)
    noise_scale = _at(noise_scale, state)
    samples = state.samples - step_size * drift + noise_scale * noise
    samples = tf.clip_by_value(samples, 0.0, 1.0)
    samples = chain.projected(samples, project)
    info = LangevinInfo(
        energy=energy,
        gradient_norm=chain.row_norm(gradient),
        displacement=chain.root_mean_square(samples - state.samples),
    )
    return LangevinState(samples, state.step + 1), info


def run_chain(state, energy_fn, keys, num_steps, **kwargs):
    """Runs `num_steps` Langevin steps in one `tf.while_loop`.

    Memory does not grow with the number of steps, only the gradient with
    respect to the samples is computed, and no gradient flows back through the
    chain. A second call on the returned state continues the chain exactly.

    Args:
        state: `LangevinState`.
        energy_fn: function of float32 `(n, ...)` giving energies `(n,)`.
        keys: uint64 tensor of shape `(n,)`.
        num_steps: int or int32 tensor >= 0, a scalar or of shape `(n,)`: each
            chain's own number. As a tensor it may vary without retracing.
        **kwargs: passed to `langevin_step`.

    Returns:
        Tuple of the last `LangevinState` and the last step's `LangevinInfo`
        (zeros where `num_steps` is 0). Chains of fewer steps than others stay
        where they were after their own last one.

    Example:

    >>> from clel_tf import random
    >>> from clel_tf.samplers import langevin
    >>> keys = random.fold_in(random.as_key(0), tf.range(4))
    >>> state = langevin.init(random.uniform(keys, (8, 8, 1)))
    >>> state, info = langevin.run_chain(
    ...     state, lambda x: 50 * tf.reduce_sum((x - 0.5) ** 2, (1, 2, 3)),
    ...     keys, 100, step_size=0.005, noise_scale=0.01)
    >>> state.samples.shape
    TensorShape([4, 8, 8, 1])
    """
    return chain.run(
        state,
        lambda state: langevin_step(state, energy_fn, keys, **kwargs),
        num_steps,
        chain.no_info(LangevinInfo, state.samples),
    )


def _at(value, state):
    """A number, or a schedule's at a step; of one a row, beside the samples."""
    if callable(value):
        value = tf.cast(value(state.step), tf.float32)
    if getattr(value, "shape", None) and value.shape.rank == 1:
        return tf.reshape(value, [-1] + [1] * (state.samples.shape.rank - 1))
    return value
