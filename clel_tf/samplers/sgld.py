import copy

import keras
import numpy as np
import tensorflow as tf

from clel_tf.samplers import chain
from clel_tf.samplers import langevin
from clel_tf.samplers.sampler import Sampler
from clel_tf.samplers.sampler import check
from clel_tf.samplers.sampler import config_of
from clel_tf.samplers.sampler import first_value


@keras.saving.register_keras_serializable(package="clel_tf")
class SGLD(Sampler):
    """Configuration of Langevin chains, and their compiled run.

    Holds numbers only: no variables, no weights, no random state. The chain
    itself is `clel_tf.samplers.langevin`, which states its equation.

    Args:
        step_size: float > 0. Step size, in squared pixel units per unit of
            energy. Or a `keras.optimizers.schedules.LearningRateSchedule` of
            the chain's step, which is 0 at the start of a run; of the replay
            buffer's chains in training, of their age.
        noise_scale: float >= 0, or such a schedule. Standard deviation of each
            step's noise, in pixel units.
        num_steps: int >= 1. Steps between two updates of a model in training.
        sample_steps: int >= 1. Steps from uniform noise to a fresh sample.
        gradient_clip: float > 0 or None. Bound on each element of the gradient.
        jit_compile: bool or "auto". Whether XLA compiles the chain; "auto" is
            yes where there is a GPU or TPU, and no on a CPU, whose own
            convolution kernels are faster.

    Example:

    >>> sampler = clel_tf.samplers.SGLD(step_size=0.005, noise_scale=0.01)
    >>> round(sampler.langevin_temperature, 6)
    0.01

    Reference:
        [Welling, Teh: Bayesian Learning via Stochastic Gradient Langevin
        Dynamics, ICML 2011](https://dl.acm.org/doi/10.5555/3104482.3104568);
        the defaults are CLEL's.
    """

    info = langevin.LangevinInfo

    def __init__(
        self,
        step_size=100.0,
        noise_scale=1e-3,
        num_steps=60,
        sample_steps=600,
        gradient_clip=None,
        jit_compile="auto",
    ):
        first_step, first_noise = (
            first_value(x) for x in (step_size, noise_scale)
        )
        check("step_size", step_size, first_step > 0, "positive")
        check("noise_scale", noise_scale, first_noise >= 0, "at least 0")
        super().__init__(num_steps, sample_steps, jit_compile)
        if gradient_clip is not None:
            check("gradient_clip", gradient_clip, gradient_clip > 0, "positive")
        self.step_size = step_size
        self.noise_scale = noise_scale
        self.gradient_clip = gradient_clip
        # Copies for chains keep it: it cannot be read off their functions.
        self._temperature = first_noise**2 / (2.0 * first_step)

    @property
    def langevin_temperature(self):
        """`T = noise_scale**2 / (2 step_size)`; -log p(x) = E(x) / T + c.

        Of schedules it is the temperature of step 0.
        """
        return self._temperature

    def init(self, energy_fn, initial, project=None):
        """Returns the `LangevinState` at `project(initial)`."""
        state = langevin.init(initial)
        return state._replace(samples=chain.projected(state.samples, project))

    def step(self, state, energy_fn, keys, project=None):
        """Moves every chain by one step; see `langevin.langevin_step`."""
        return langevin.langevin_step(
            state,
            energy_fn,
            keys,
            step_size=self.step_size,
            noise_scale=self.noise_scale,
            gradient_clip=self.gradient_clip,
            project=project,
        )

    def scaled(self, scale):
        """A copy whose steps are shorter or longer, at the same temperature.

            step_size <- scale step_size, noise_scale <- sqrt(scale) noise_scale

        Args:
            scale: float > 0, or float32 scalar tensor of the graph in which the
                copy runs.

        Returns:
            `SGLD`, for chains only: its tensors have no configuration.
        """
        copied = copy.copy(self)
        copied.step_size = _times(self.step_size, scale)
        copied.noise_scale = _times(self.noise_scale, tf.sqrt(scale))
        return copied

    def tabulated(self):
        """A copy whose schedules take tensors of steps of any shape.

        Beyond `sample_steps` they stay at the last of so many values.

        Returns:
            `SGLD`, for chains only: its functions have no configuration.
        """
        return self._mapped(lambda value: _tabulated(value, self.sample_steps))

    def aged(self, ages):
        return self._mapped(lambda value: lambda step: value(ages + step))

    def _mapped(self, function):
        """The sampler itself, or a copy of other schedules if it has any."""
        copied = self
        for name in ("step_size", "noise_scale"):
            value = getattr(self, name)
            if callable(value):
                copied = copy.copy(self) if copied is self else copied
                setattr(copied, name, function(value))
        return copied

    def get_config(self):
        return {
            "step_size": config_of(self.step_size),
            "noise_scale": config_of(self.noise_scale),
            **super().get_config(),
            "gradient_clip": self.gradient_clip,
        }


def _tabulated(schedule, num_steps):
    with tf.init_scope():
        values = np.array([float(schedule(i)) for i in range(num_steps)])
    values = tf.constant(values, tf.float32)
    return lambda step: tf.gather(values, tf.minimum(step, num_steps - 1))


def _times(value, scale):
    """A number, or the values of a schedule, times a scalar."""
    if callable(value):
        return lambda step: tf.cast(value(step), tf.float32) * scale
    return value * scale
