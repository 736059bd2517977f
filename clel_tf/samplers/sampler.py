import functools
from typing import Any

import keras
import tensorflow as tf

from clel_tf.backend import require_tensorflow
from clel_tf.samplers import chain
from clel_tf.samplers.compilation import resolve_jit_compile

_Schedule = keras.optimizers.schedules.LearningRateSchedule


class Sampler:
    """Base of the configurations of Markov chains, and their compiled run.

    A subclass holds numbers and schedules only: no variables, no weights, no
    random state. It defines `init`, `step`, the NamedTuple `info` that its
    steps give, and `step_size`, `noise_scale`, `langevin_temperature`. Samplers
    of the same class and configuration are equal and have the same hash, so
    that graphs compiled for one serve the other; do not change one's numbers
    after its chains were compiled.

    Args:
        num_steps: int >= 1. Steps between two updates of a model in training.
        sample_steps: int >= 1. Steps from uniform noise to a fresh sample.
        jit_compile: bool or "auto". Whether XLA compiles the chain; "auto" is
            yes where there is a GPU or TPU.

    Example:

    >>> a, b = (clel_tf.samplers.SGLD(step_size=2.0) for _ in range(2))
    >>> a == b, len({a, b}), a == clel_tf.samplers.SGLD(step_size=1.0)
    (True, 1, False)
    """

    info: type | None = None
    step_size: Any  # a number, or a schedule
    noise_scale: Any  # likewise

    def __init__(self, num_steps, sample_steps, jit_compile):
        require_tensorflow(type(self).__name__)
        for name, steps in (
            ("num_steps", num_steps),
            ("sample_steps", sample_steps),
        ):
            valid = isinstance(steps, int) and steps >= 1
            check(name, steps, valid, "an int of at least 1")
        resolve_jit_compile(jit_compile)
        self.num_steps = num_steps
        self.sample_steps = sample_steps
        self.jit_compile = jit_compile

    @property
    def langevin_temperature(self):
        """float. `T` of the density exp(-E(x) / T) that chains approach."""
        raise NotImplementedError

    def init(self, energy_fn, initial, project=None):
        """Returns the state of chains that start at `project(initial)`."""
        raise NotImplementedError

    def step(self, state, energy_fn, keys, project=None):
        """Moves every chain by one step.

        Args:
            state: what `init` or `step` gave.
            energy_fn: function of float32 images `(n, ...)` giving `(n,)`.
            keys: uint64 tensor of shape `(n,)`, a key a row.
            project: None, or a function of float32 images `(n, ...)` giving
                images of that shape which satisfy a constraint.

        Returns:
            Tuple of the next state and of what the step saw.
        """
        raise NotImplementedError

    def run(
        self,
        energy_fn,
        initial,
        keys,
        num_steps=None,
        project=None,
        first_step=0,
    ):
        """Runs chains from `initial`, or from its projection.

        Args:
            energy_fn: function of float32 images `(n, ...)` giving `(n,)`.
            initial: float32 tensor of shape `(n, ...)`, in [0, 1].
            keys: uint64 tensor of shape `(n,)`, a key a row.
            num_steps: int, int32 tensor, a scalar or of shape `(n,)` for a
                number a row, or None for `self.num_steps`.
            project: None, or a function of float32 images `(n, ...)` giving
                images of that shape which satisfy a constraint.
            first_step: int or int32 scalar tensor. Steps that were made before,
                for schedules and for noise of its own.

        Returns:
            Tuple of float32 samples `(n, ...)` and of what the last step saw,
            such as a `LangevinInfo`.
        """
        steps = self.num_steps if num_steps is None else num_steps

        def run(initial, keys, steps):
            state = self.init(energy_fn, initial, project)
            state = state._replace(step=state.step + first_step)
            state, info = chain.run(
                state,
                lambda state: self.step(state, energy_fn, keys, project),
                steps,
                chain.no_info(self.info, state.samples),
            )
            return state.samples, info

        # Without XLA the chain is part of whatever graph calls it.
        if resolve_jit_compile(self.jit_compile):
            run = tf.function(run, jit_compile=True, autograph=False)
        return run(initial, keys, tf.convert_to_tensor(steps, tf.int32))

    def aged(self, ages):
        """The sampler of chains that go on: schedules begin at their ages.

        They have to take tensors of steps, as Keras's own do not all.

        Args:
            ages: int32 tensor of shape `(n,)`, steps that each row has made.

        Returns:
            The sampler itself, or a copy for these chains only.
        """
        return self

    def largest_step_size(self, num_steps):
        """The largest step size of a chain of `num_steps` steps, a float."""
        return _largest_step_size(self, num_steps)

    def get_config(self):
        return {
            "num_steps": self.num_steps,
            "sample_steps": self.sample_steps,
            "jit_compile": self.jit_compile,
        }

    @classmethod
    def from_config(cls, config):
        return cls(
            **{
                name: keras.saving.deserialize_keras_object(value)
                if isinstance(value, dict)
                else value
                for name, value in config.items()
            }
        )

    def __eq__(self, other):
        if type(self) is not type(other):
            return NotImplemented
        return _frozen(self.get_config()) == _frozen(other.get_config())

    def __hash__(self):
        return hash((type(self), _frozen(self.get_config())))


@functools.lru_cache(64)
def _largest_step_size(sampler, num_steps):
    if not isinstance(sampler.step_size, _Schedule):
        return float(sampler.step_size)

    @tf.function(autograph=False)
    def largest():
        return tf.reduce_max(
            tf.map_fn(
                lambda step: tf.cast(sampler.step_size(step), tf.float32),
                tf.range(num_steps),
                fn_output_signature=tf.float32,
            )
        )

    with tf.init_scope():  # a number, in the midst of a graph too
        return float(largest())


def check(name, value, valid, expected):
    """Raises a ValueError about the argument `name` unless it is valid."""
    if not valid:
        raise ValueError(
            f"Expected `{name}` to be {expected}; received: {value!r}."
        )


def first_value(value):
    """A number itself, or a schedule's at step 0 as a float."""
    if not isinstance(value, _Schedule):
        return value
    with tf.init_scope():
        return float(value(tf.constant(0)))


def config_of(value):
    """A number itself, or a schedule's configuration, for `get_config`."""
    if not isinstance(value, _Schedule):
        return value
    return keras.saving.serialize_keras_object(value)


def _frozen(value):
    """A configuration as tuples, which have a hash."""
    if isinstance(value, dict):
        return tuple((name, _frozen(value[name])) for name in sorted(value))
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(x) for x in value)
    return value
