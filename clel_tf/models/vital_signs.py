import math
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

# What is watched, with how far from the usual it may always be: logarithms,
# but for the share of pixels.
SIGNS = {
    "energy_positive": math.log(10.0),
    "energy_negative": math.log(10.0),
    "energy_gap": math.log(4.0),
    "gradient_norm": math.log(10.0),
    "chain_saturation": 0.15,
    "chain_displacement": math.log(3.0),
    "chain_travel": math.log(2.5),
}
# What of a step may not be finite.
FAULTS = ("images", "chains", "losses")

_USUAL = 0.99  # decay of the usual mean and variance
_RECENT = 0.8  # decay of the mean that is compared with them
_SPREADS = 6.0  # standard deviations that it may be away
_UNJUDGED = 100  # steps of statistics before there is a usual

# Chains beyond these are none, whatever is usual: all but 1% of their pixels
# are at a bound, or they jump a tenth of all there is in a step.
SATURATION = 0.99
_JUMP = 0.1

_TINY = 1e-30


class Incident(NamedTuple):
    """What went wrong in training, for people and JSON.

    Attributes:
        step: int. The first step that it was noticed in.
        signs: dict from the names of signs that departed to dicts of the last
            "value" that did, the "usual" one, and the one that was "allowed" in
            this direction. Of `energy_gap` they are ratios of the chains'
            energy to the data's.
        faults: dict from `FAULTS` to numbers of steps in which those were not
            finite.
        undone_in_a_row: int. Steps that were undone up to now without one that
            was not.
    """

    step: int
    signs: dict
    faults: dict
    undone_in_a_row: int


class VitalSigns(keras.layers.Layer):
    """Running statistics of a training's health, on the device.

    Of the logarithms `x` of both energies, of their ratio, of the gradient's
    norm and of the chains' displacement in a step and travel in a visit, and of
    the share of saturated pixels, follows means `m` over about 100 and `r` over
    about 5 steps, and the standard deviation `s` of `x` about `r`:

        |r - m| <= max(6 s, least)

    is usual, from the 101st step on. At most 99% of saturated pixels and a
    displacement of 0.1 and three times the noise are allowed at any. Else there
    is an incident, noted with its step; as is a step with a number that is not
    finite. `m` and `s` do not follow steps that are as far away.

    It also holds how a guard has softened training since, and what the guard
    counts, so that checkpoints have it.

    Example:

    >>> vitals = clel_tf.models.CLEL.from_preset("digits").vital_signs
    >>> vitals.read() is None
    True
    """

    def __init__(self, **kwargs):
        super().__init__(trainable=False, dtype="float32", **kwargs)
        signs = (len(SIGNS),)
        self.count = self._variable("count", dtype="int64")
        self.mean = self._variable("mean", signs)
        self.variance = self._variable("variance", signs)
        self.recent = self._variable("recent", signs)
        self.first_step = self._variable("first_step", dtype="int64")
        # To which side signs went, how far, and how far they might have.
        self.departed = self._variable("departed", (3, *signs))
        self.faults = self._variable("faults", (len(FAULTS),), "int64")
        self.undone_in_a_row = self._variable("undone_in_a_row", dtype="int64")
        self.incidents = self._variable("incidents", dtype="int64")
        self.restorations = self._variable("restorations", dtype="int64")
        self.restored_at = self._variable("restored_at", dtype="int64")
        self.learning_rate_scale = self._variable(
            "learning_rate_scale", initializer="ones"
        )
        self.step_size_scale = self._variable(
            "step_size_scale", initializer="ones"
        )
        self.built = True

    def _variable(self, name, shape=(), dtype="float32", initializer="zeros"):
        return self.add_weight(
            name=name,
            shape=shape,
            dtype=dtype,
            initializer=initializer,
            trainable=False,
            autocast=False,
        )

    @property
    def lasting(self):
        """The variables that no restoration of a former state changes."""
        return [
            self.incidents,
            self.restorations,
            self.restored_at,
            self.learning_rate_scale,
            self.step_size_scale,
        ]

    def record(self, values, faults, step, noise_scale):
        """Takes in one step, in the graph of training.

        Args:
            values: dict of float32 scalars, this replica's: those of `SIGNS`
                but `energy_gap`.
            faults: int32 tensor `(3,)`: on how many replicas each of `FAULTS`
                was not finite.
            step: int64 scalar, the step's number, from 1.
            noise_scale: float. The chains', in pixel units.
        """
        finite = tf.equal(tf.reduce_sum(faults), 0)
        observed, count = _observed(values), self.count.value + 1
        # At first, means of all that has been.
        weight = 1.0 / tf.cast(count, tf.float32)
        change = tf.maximum(weight, 1.0 - _RECENT)
        recent = self.recent.value + change * (observed - self.recent.value)
        allowed = self.allowed(count, noise_scale)
        side = tf.where(finite, _side(recent, *allowed), 0.0)
        far = tf.abs(side) + tf.abs(_side(observed, *allowed))
        usual = finite & (tf.reduce_all(far == 0.0) | (count == 1))
        weight = tf.maximum(weight, 1.0 - _USUAL)
        mean, variance = self.mean.value, self.variance.value
        mean = mean + weight * (observed - mean)
        # About the recent mean: a drift is no spread.
        variance = variance + weight * ((observed - recent) ** 2 - variance)
        _assign_where(finite, self.count, count)
        _assign_where(finite, self.recent, recent)
        _assign_where(usual, self.mean, mean)
        _assign_where(usual, self.variance, variance)
        limit = tf.where(side > 0.0, allowed[1], allowed[0])
        departed = tf.stack([side, recent, limit])
        _assign_where(side != 0.0, self.departed, departed)
        self._note(tf.reduce_any(side != 0.0), faults, step)

    def allowed(self, count, noise_scale):
        """The least and the largest that each sign's recent mean may be.

        Args:
            count: int64 scalar tensor, the number of steps in the statistics.
            noise_scale: float. The chains', in pixel units.

        Returns:
            Tuple of two float32 tensors `(7,)`, in the order of `SIGNS`.
        """
        least = tf.constant(list(SIGNS.values()))
        limits = tf.maximum(_SPREADS * tf.sqrt(self.variance.value), least)
        limits = tf.where(count > _UNJUDGED, limits, math.inf)
        bounds = dict.fromkeys(SIGNS, math.inf)
        bounds["chain_saturation"] = SATURATION
        bounds["chain_displacement"] = math.log(_JUMP + 3.0 * noise_scale)
        mean = self.mean.value
        return mean - limits, tf.minimum(mean + limits, list(bounds.values()))

    def _note(self, departed, faults, step):
        faults = tf.cast(faults > 0, tf.int64)
        undone = tf.reduce_max(faults)
        self.faults.assign_add(faults)
        self.undone_in_a_row.assign((self.undone_in_a_row.value + 1) * undone)
        first = (departed | (undone > 0)) & (self.first_step.value == 0)
        _assign_where(first, self.first_step, tf.cast(step, tf.int64))

    def read(self):
        """What went wrong since `forget`: an `Incident`, or None."""
        step = int(self.first_step.numpy())
        if not step:
            return None
        numbers = [*self.departed.numpy(), self.mean.numpy()]
        signs = {
            name: {
                "value": _natural(name, value),
                "usual": _natural(name, usual),
                "allowed": _natural(name, allowed),
            }
            for name, side, value, allowed, usual in zip(SIGNS, *numbers)
            if side
        }
        faults = dict(zip(FAULTS, map(int, self.faults.numpy())))
        return Incident(step, signs, faults, int(self.undone_in_a_row.numpy()))

    def forget(self):
        """Begins to look for incidents anew; statistics stay."""
        for variable in (self.departed, self.first_step, self.faults):
            variable.assign(np.zeros(variable.shape, variable.dtype))

    def reset(self):
        """Begins statistics anew too."""
        self.forget()
        self.count.assign(0)

    def load_own_variables(self, store):
        if store.keys():  # else a file of before there were vital signs
            super().load_own_variables(store)


def _observed(values):
    """The signs of a step, `(7,)`, means over replicas before logarithms."""
    context = tf.distribute.get_replica_context()
    names = [name for name in SIGNS if name != "energy_gap"]
    means = context.all_reduce("MEAN", tf.stack([values[n] for n in names]))
    logarithms = tf.math.log(tf.maximum(means, _TINY))
    signs = dict(zip(names, tf.unstack(logarithms)))
    signs["energy_gap"] = signs["energy_negative"] - signs["energy_positive"]
    signs["chain_saturation"] = means[names.index("chain_saturation")]
    return tf.stack([signs[name] for name in SIGNS])


def _natural(name, value):
    """A sign's own value: of logarithms, what they are of."""
    return float(value if name == "chain_saturation" else np.exp(value))


def _side(values, least, largest):
    """1 for values above the largest, -1 for those below the least, else 0."""
    above, below = values > largest, values < least
    return tf.cast(above, tf.float32) - tf.cast(below, tf.float32)


def _assign_where(condition, variable, new):
    variable.assign(tf.where(condition, new, variable.value))
