"""Metropolis-adjusted Langevin dynamics: a pure step and a compiled chain.

    x' = x - h grad E(x) + s n,    n ~ N(0, I),    s = sqrt(2 h T)
    a(x, x') = min(1, exp((E(x) - E(x')) / T) q(x | x') / q(x' | x))
    log q(x' | x) = -|x' - x + h grad E(x)|**2 / (4 h T) + c

The chain moves to `x'` with probability `a` and stays at `x` otherwise. For any
step size `h` it leaves `exp(-E(x) / T)` unchanged, where the chain of
`clel_tf.samplers.langevin` has a bias that grows with `h`. The step size
decides how much is accepted: 0.57 is about the best, and the step size of it
falls with the number of pixels `d` as `d**(-1/3)`.

With `bounds="reflect"` the density is that restricted to [0, 1] a pixel:
proposals are folded back at 0 and 1, and `q` is the density of what is folded
(`clel_tf.samplers.reflection`). Without bounds nothing is clipped.

Reference:
    [Roberts, Tweedie: Exponential Convergence of Langevin Distributions and
    Their Discrete Approximations, Bernoulli 2,
    1996](https://doi.org/10.2307/3318418); [Roberts, Rosenthal: Optimal Scaling
    of Discrete Approximations to Langevin Diffusions, JRSS B 60,
    1998](https://doi.org/10.1111/1467-9868.00123)
"""

import numbers
from typing import NamedTuple

import tensorflow as tf

from clel_tf import random
from clel_tf.samplers import chain
from clel_tf.samplers import reflection


class MetropolisState(NamedTuple):
    """Where the chains are, and what the next step has to know about it.

    Attributes:
        samples: float32 tensor of shape `(n, ...)`.
        energy: float32 tensor of shape `(n,)`, of the samples.
        gradient: float32 tensor of shape `(n, ...)`, of the energy there.
        step: int32 scalar, steps made; it selects the noise of the next one.
    """

    samples: tf.Tensor
    energy: tf.Tensor
    gradient: tf.Tensor
    step: tf.Tensor


class MetropolisInfo(NamedTuple):
    """What the last step of the chains saw; float32 tensors of shape `(n,)`.

    Attributes:
        energy: energy before the step.
        gradient_norm: Euclidean norm of the energy's gradient before the step.
        displacement: root mean square change of a pixel over the step.
        acceptance: probability with which the step's proposal is accepted.
    """

    energy: tf.Tensor
    gradient_norm: tf.Tensor
    displacement: tf.Tensor
    acceptance: tf.Tensor


def init(samples, energy_fn):
    """Returns the state of chains that start at `samples`."""
    samples = tf.convert_to_tensor(samples)
    return _state(samples, energy_fn, tf.constant(0))


def metropolis_step(state, energy_fn, keys, **kernel):
    """Proposes a step of Langevin dynamics to every chain, and decides on it.

    The energy is evaluated once, at the proposal; one of an energy or gradient
    that is not finite is rejected.

    Args:
        state: `MetropolisState`.
        energy_fn: function of float32 `(n, ...)` giving energies `(n,)`. The
            energy of a row must depend on that row alone.
        keys: uint64 tensor of shape `(n,)`, one key of `clel_tf.random` a
            chain; step `t` draws its noise from `fold_in(key, t)`.
        **kernel: see `log_ratio`.

    Returns:
        Tuple of the next `MetropolisState` and a `MetropolisInfo`.
    """
    keys = random.fold_in(keys, state.step)
    noise = random.normal(keys, tuple(state.samples.shape[1:]))
    samples = propose(state, noise, **kernel)
    proposal = _state(samples, energy_fn, state.step + 1)
    ratio = log_ratio(state, proposal, noise, **kernel)
    valid = tf.math.is_finite(proposal.energy) & ~tf.math.is_nan(ratio)
    acceptance = tf.where(valid, tf.exp(tf.minimum(ratio, 0.0)), 0.0)
    accepted = random.uniform(random.fold_in(keys, 0)) < acceptance
    moved = chain.where(accepted, proposal, state)
    info = MetropolisInfo(
        energy=state.energy,
        gradient_norm=chain.row_norm(state.gradient),
        displacement=chain.root_mean_square(moved.samples - state.samples),
        acceptance=acceptance,
    )
    return moved, info


def propose(state, noise, *, step_size, temperature, bounds=None, project=None):
    """The samples `x'`, `(n, ...)`, that noise of that shape leads to.

    Args:
        state: `MetropolisState`.
        noise: float32 tensor of shape `(n, ...)`, standard normal.
        step_size, temperature, bounds, project: see `log_ratio`.
    """
    scale = noise_scale(step_size, temperature, bounds)
    drift = _drift(state, step_size / scale, project)
    noise = _tangent(state.samples, noise, project)
    if bounds is None:
        samples = state.samples + scale * (noise - drift)
    else:
        mean = reflection.fold(state.samples - scale * drift)
        samples = reflection.fold(mean + scale * noise)
    # Of samples in the set it takes the rounding, which would add up.
    return chain.projected(samples, project)


def log_ratio(
    state,
    proposal,
    noise,
    *,
    step_size,
    temperature,
    bounds=None,
    project=None,
):
    """The logarithm of what is compared with 1 before a proposal is accepted.

        (E(x) - E(x')) / T + log q(x | x') - log q(x' | x)

    Away from bounds the last two are `sum(u (n - u / 2))`, `u` being
    `h (grad E(x) + grad E(x')) / s`: no close numbers are subtracted.

    Args:
        state: `MetropolisState` of `x`.
        proposal: `MetropolisState` of `x'`.
        noise: float32 tensor of shape `(n, ...)`, the `n` that led there.
        step_size: float or scalar tensor > 0, in squared pixel units per unit
            of energy.
        temperature: float or scalar tensor > 0.
        bounds: None, or "reflect" for samples in [0, 1]; then
            `s = sqrt(2 step_size temperature)` is at most 1.
        project: None, or a function of float32 `(n, ...)` giving samples of
            that shape: the orthogonal projection on an affine set, in which the
            samples are and stay. The density is that within the set. With
            bounds it may only set pixels to numbers of its own, in [0, 1].

    Returns:
        float32 tensor of shape `(n,)`.

    Raises:
        ValueError: if `bounds` is something else, or the noise is too large.
    """
    scale = noise_scale(step_size, temperature, bounds)
    here, there = (
        _drift(x, step_size / scale, project) for x in (state, proposal)
    )
    drifts = here + there
    terms = drifts * (noise - 0.5 * drifts)
    if bounds is not None:
        points = state.samples, proposal.samples
        means = points[0] - scale * here, points[1] - scale * there
        terms = _reflected(terms, points, means, noise, scale)
    energies = (state.energy - proposal.energy) / temperature
    return energies + chain.row_sum(terms)


def run_chain(state, energy_fn, keys, num_steps, **kernel):
    """Runs `num_steps` Metropolis-adjusted steps in one `tf.while_loop`.

    Args:
        state: `MetropolisState`.
        energy_fn: function of float32 `(n, ...)` giving energies `(n,)`.
        keys: uint64 tensor of shape `(n,)`.
        num_steps: int or int32 tensor >= 0, a scalar or of shape `(n,)`: each
            chain's own number. As a tensor it may vary without retracing.
        **kernel: see `log_ratio`.

    Returns:
        Tuple of the last `MetropolisState` and the last step's
        `MetropolisInfo`; see `clel_tf.samplers.chain.run`.

    Example:

    >>> from clel_tf import random
    >>> from clel_tf.samplers import metropolis
    >>> energy = lambda x: tf.reduce_sum(x ** 2, axis=1) / 2
    >>> keys = random.fold_in(random.as_key(0), tf.range(4000))
    >>> state, info = metropolis.run_chain(
    ...     metropolis.init(tf.zeros((4000, 1)), energy), energy, keys, 20,
    ...     step_size=1.0, temperature=0.5)
    >>> round(float(tf.math.reduce_variance(state.samples)), 1)  # langevin's: 1
    0.5
    """
    return chain.run(
        state,
        lambda state: metropolis_step(state, energy_fn, keys, **kernel),
        num_steps,
        chain.no_info(MetropolisInfo, state.samples),
    )


def noise_scale(step_size, temperature, bounds=None):
    """Standard deviation `s` of a step's noise; see `log_ratio`."""
    if bounds not in (None, "reflect"):
        raise ValueError(
            f'Expected `bounds` to be None or "reflect"; received: {bounds!r}.'
        )
    scale = (2.0 * step_size * temperature) ** 0.5
    if (
        bounds is not None
        and isinstance(scale, numbers.Real)
        and not scale <= reflection.LARGEST_SCALE
    ):
        raise ValueError(
            "Expected noise of a standard deviation, sqrt(2 step_size "
            "temperature), of at most 1 where it is reflected; received: "
            f"{scale!r}."
        )
    return scale


def _state(samples, energy_fn, step):
    energy, gradient = chain.energy_and_gradient(energy_fn, samples)
    return MetropolisState(samples, energy, gradient, step)


def _drift(state, rate, project):
    """The way down the energy that a step makes, in units of its noise."""
    return _tangent(state.samples, rate * state.gradient, project)


def _tangent(samples, vectors, project):
    """Vectors projected to lie within the affine set."""
    if project is None:
        return vectors
    return chain.projected(samples + vectors, project) - samples


def _reflected(terms, points, means, noise, scale):
    """The terms of `log_ratio` where proposals are folded."""
    folded = [reflection.fold(x) for x in means]
    forth, back = (
        (x - mean) / scale for x, mean in zip(reversed(points), folded)
    )
    reached = folded[0] + scale * noise
    inside = (reached >= 0.0) & (reached <= 1.0)
    for mean, before in zip(folded, means):
        inside &= mean == before
    # Where nothing is folded, `terms` is the same with less rounding.
    terms = tf.where(inside, terms, 0.5 * (forth - back) * (forth + back))
    images = [
        reflection.log_images(x, mean, scale)
        for x, mean in zip(reversed(points), folded)
    ]
    return terms + images[1] - images[0]
