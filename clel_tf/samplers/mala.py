import keras
import tensorflow as tf

from clel_tf.samplers import chain
from clel_tf.samplers import metropolis
from clel_tf.samplers.sampler import Sampler
from clel_tf.samplers.sampler import check


@keras.saving.register_keras_serializable(package="clel_tf")
class MALA(Sampler):
    """Configuration of Metropolis-adjusted Langevin chains, and their run.

    Holds numbers only: no variables, no weights, no random state. The chain
    itself is `clel_tf.samplers.metropolis`, which states its equations. It
    samples `exp(-E(x) / temperature)` whatever the step size, which decides how
    fast; a step costs what one of `SGLD` does. The mean of its information's
    `acceptance` should be about 0.6: with a larger one the step size may grow.
    Energies have to be exact to a fraction of the temperature: those of a
    network that computes in bfloat16 come in steps of about its size, and few
    moves are accepted however short they are. Give it `dtype="float32"`.

    Args:
        step_size: float > 0, in squared pixel units per unit of energy.
        temperature: float > 0. That of a model is its `SGLD`'s
            `langevin_temperature`.
        num_steps: int >= 1. Steps between two updates of a model in training.
        sample_steps: int >= 1. Steps from uniform noise to a fresh sample.
        bounds: "reflect" for images in [0, 1], at which proposals are
            reflected, or None for samples without bounds.
        jit_compile: bool or "auto". Whether XLA compiles the chain; "auto" is
            yes where there is a GPU or TPU.

    Raises:
        ValueError: if a number is out of range, or `noise_scale` is above 1
            and reflected.

    Example:

    >>> sampler = clel_tf.samplers.MALA(step_size=0.1, temperature=0.1)
    >>> row_keys = clel_tf.random.fold_in(
    ...     clel_tf.random.as_key(0), tf.range(4000))
    >>> samples, info = sampler.run(  # p(x) ~ exp(-x / 0.1), 0 <= x <= 1
    ...     lambda x: tf.reduce_sum(x, axis=1), tf.zeros((4000, 1)), row_keys)
    >>> round(float(tf.reduce_mean(samples)), 2)
    0.1

    Reference:
        [Roberts, Tweedie: Exponential Convergence of Langevin Distributions and
        Their Discrete Approximations, Bernoulli 2,
        1996](https://doi.org/10.2307/3318418)
    """

    info = metropolis.MetropolisInfo

    def __init__(
        self,
        step_size,
        temperature,
        num_steps=60,
        sample_steps=600,
        bounds="reflect",
        jit_compile="auto",
    ):
        for name, value in (
            ("step_size", step_size),
            ("temperature", temperature),
        ):
            valid = 0 < value < float("inf")
            check(name, value, valid, "positive and finite")
        metropolis.noise_scale(step_size, temperature, bounds)
        super().__init__(num_steps, sample_steps, jit_compile)
        self.step_size = step_size
        self.temperature = temperature
        self.bounds = bounds

    @property
    def langevin_temperature(self):
        """`T`, the temperature; -log p(x) = E(x) / T + c."""
        return self.temperature

    @property
    def noise_scale(self):
        """Standard deviation of a proposal's noise, `sqrt(2 step_size T)`."""
        return metropolis.noise_scale(self.step_size, self.temperature)

    def init(self, energy_fn, initial, project=None):
        """Returns the `MetropolisState` at `project(initial)`."""
        samples = chain.projected(tf.convert_to_tensor(initial), project)
        return metropolis.init(samples, energy_fn)

    def step(self, state, energy_fn, keys, project=None):
        """Moves every chain by one step; see `metropolis.metropolis_step`."""
        return metropolis.metropolis_step(
            state,
            energy_fn,
            keys,
            step_size=self.step_size,
            temperature=self.temperature,
            bounds=self.bounds,
            project=project,
        )

    def get_config(self):
        return {
            "step_size": self.step_size,
            "temperature": self.temperature,
            **super().get_config(),
            "bounds": self.bounds,
        }
