import keras
import tensorflow as tf

from clel_tf.samplers import langevin
from clel_tf.samplers.compilation import resolve_jit_compile


@keras.saving.register_keras_serializable(package="clel_tf")
class SGLD:
    """Configuration of Langevin chains, and their compiled run.

    Holds numbers only: no variables, no weights, no random state. The chain
    itself is `clel_tf.samplers.langevin`, which states its equation.

    Args:
        step_size: float > 0. Step size, in squared pixel units per unit of
            energy.
        noise_scale: float >= 0. Standard deviation of each step's noise, in
            pixel units.
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

    def __init__(
        self,
        step_size=100.0,
        noise_scale=1e-3,
        num_steps=60,
        sample_steps=600,
        gradient_clip=None,
        jit_compile="auto",
    ):
        _check("step_size", step_size, step_size > 0, "positive")
        _check("noise_scale", noise_scale, noise_scale >= 0, "at least 0")
        for name, steps in (
            ("num_steps", num_steps),
            ("sample_steps", sample_steps),
        ):
            valid = isinstance(steps, int) and steps >= 1
            _check(name, steps, valid, "an int of at least 1")
        if gradient_clip is not None:
            _check(
                "gradient_clip", gradient_clip, gradient_clip > 0, "positive"
            )
        resolve_jit_compile(jit_compile)
        self.step_size = step_size
        self.noise_scale = noise_scale
        self.num_steps = num_steps
        self.sample_steps = sample_steps
        self.gradient_clip = gradient_clip
        self.jit_compile = jit_compile

    @property
    def langevin_temperature(self):
        """`T = noise_scale**2 / (2 step_size)`; -log p(x) = E(x) / T + c."""
        return self.noise_scale**2 / (2.0 * self.step_size)

    def run(self, energy_fn, initial, keys, num_steps=None):
        """Runs chains from `initial`.

        Args:
            energy_fn: function of float32 images `(n, ...)` giving `(n,)`.
            initial: float32 tensor of shape `(n, ...)`, in [0, 1].
            keys: uint64 tensor of shape `(n,)`, a key a row.
            num_steps: int, int32 tensor, a scalar or of shape `(n,)` for a
                number a row, or None for `self.num_steps`.

        Returns:
            Tuple of float32 samples `(n, ...)` and the last step's
            `LangevinInfo`.
        """
        steps = self.num_steps if num_steps is None else num_steps

        def chain(initial, keys, steps):
            state, info = langevin.run_chain(
                langevin.init(initial),
                energy_fn,
                keys,
                steps,
                step_size=self.step_size,
                noise_scale=self.noise_scale,
                gradient_clip=self.gradient_clip,
            )
            return state.samples, info

        # Without XLA the chain is part of whatever graph calls it.
        if resolve_jit_compile(self.jit_compile):
            chain = tf.function(chain, jit_compile=True, autograph=False)
        return chain(initial, keys, tf.convert_to_tensor(steps, tf.int32))

    def get_config(self):
        return {
            "step_size": self.step_size,
            "noise_scale": self.noise_scale,
            "num_steps": self.num_steps,
            "sample_steps": self.sample_steps,
            "gradient_clip": self.gradient_clip,
            "jit_compile": self.jit_compile,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def _check(name, value, valid, expected):
    if not valid:
        raise ValueError(
            f"Expected `{name}` to be {expected}; received: {value!r}."
        )
