import functools

import keras
import numpy as np
import tensorflow as tf

from clel_tf import random
from clel_tf.samplers.energies.function import serialize_function
from clel_tf.samplers.energies.guidance import Guidance
from clel_tf.samplers.energies.term import check_at_least

# Of a measurement while chains are candidates, as far as steps are stable.
_LEAD = 300.0
_POWER_ITERATIONS = 50
_LINEAR = 1e-3  # relative, of float32 convolutions


@keras.saving.register_keras_serializable(package="clel_tf")
class DataFidelity(Guidance):
    """Likelihood of a measurement: restoration by a linear operator.

        y = A x + sigma n,   n ~ N(0, I)
        (weight T / sigma**2) |A x - y|**2 / 2

    With a weight of 1 the likelihood enters in nats, times the temperature of
    the chain, as every term that is not the model's own: the energy is then
    that of the posterior `p(x | y)` under the model's prior. A larger weight
    trusts the measurement more than its noise warrants.

    Args:
        observed: float array of one row's `A x`, or of as many as rows. It may
            leave [0, 1].
        operator: function of float32 images `(n, h, w, c)` giving `A x`, linear
            and row by row; None for `x` itself (denoising). Functions that a
            configuration is to hold have to be registered with Keras.
        sigma: float > 0, or `(n,)`. Standard deviation of the noise, in pixel
            units.
        weight: float >= 0, or `(n,)`.

    Raises:
        ValueError: when sampled, if the operator is not linear, or the chain's
            steps are unstable under all measurements: the sum of
            `step * lambda * |A|**2` at least 2, `lambda = weight T / sigma**2`.

    Example:

    >>> from clel_tf.samplers import energies
    >>> half = energies.AveragePool(2)
    >>> term = energies.DataFidelity(np.zeros((4, 4, 1)), half, sigma=0.1)
    """

    ranks = {"observed": 3, "sigma": 0, "weight": 0}
    observed: np.ndarray | tf.Tensor
    sigma: np.ndarray | tf.Tensor
    weight: np.ndarray | tf.Tensor
    leads = True

    def __init__(self, observed=None, operator=None, sigma=None, weight=1.0):
        self.operator = operator
        super().__init__(observed=observed, sigma=sigma, weight=weight)

    def validate(self):
        check_at_least("sigma", self.sigma, 0, exclusive=True)
        check_at_least("weight", self.weight, 0)

    def static(self):
        return (self.operator,)

    def check(self, setting):
        super().check(setting)
        if not setting.temperature > 0:
            raise ValueError(
                "Expected chains of a temperature above 0, in whose units a "
                f"measurement enters; received: {setting.temperature}."
            )
        shape, _ = _measure(self.operator, tuple(setting.image_shape))
        if self.observed.shape[-3:] != shape:
            raise ValueError(
                f"Expected `observed` of the operator's shape {shape}; "
                f"received: {self.observed.shape}."
            )

    def stiffness(self, setting):
        if any(map(tf.is_tensor, (self.sigma, self.weight))):
            return 0.0  # of a graph, not known yet
        _, norm = _measure(self.operator, tuple(setting.image_shape))
        factor = float(np.max(self.weight / self.sigma**2)) * setting.weight
        return setting.step_size * setting.temperature * factor * norm**2

    @property
    def measurements(self):
        return 1

    def rows(self, keys, setting=None):
        own, terms = super().rows(keys, setting)
        factor = own.pop("weight") / tf.square(own.pop("sigma"))
        lead = _LEAD * factor
        if setting is not None:
            _, norm = _measure(self.operator, tuple(setting.image_shape))
            # All measurements together lead no further than stable steps.
            pull = setting.step_size * setting.temperature * setting.weight
            pull *= setting.measurements * norm**2
            lead = tf.minimum(lead, 1.0 / (pull + 1e-30))
        own |= {"factor": factor, "lead": tf.maximum(lead, factor)}
        return own, terms

    def value(self, seen, rows):
        own = rows[0]
        residual = _apply(self.operator, seen.images) - own["observed"]
        squares = tf.reduce_sum(tf.square(residual), axis=(1, 2, 3))
        factor = own["lead"] if seen.leading else own["factor"]
        return 0.5 * seen.temperature * factor * squares

    def get_config(self):
        operator = serialize_function(self.operator)
        return {**super().get_config(), "operator": operator}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        operator = keras.saving.deserialize_keras_object(
            config["operator"], custom_objects
        )
        return cls(**{**config, "operator": operator})


def _apply(operator, images):
    return images if operator is None else operator(images)


@functools.lru_cache(64)
def _measure(operator, image_shape):
    """Shape of an operator's result, and its largest singular value.

    They are measured once, by `check`, outside of any graph.
    """
    keys = random.fold_in(random.as_key(0), tf.range(2))
    x, other = tf.split(random.normal(keys, image_shape), 2)
    shape = _check_linear(operator, x, other)
    return shape, _norm(operator, x)


def _check_linear(operator, x, other):
    y = _apply(operator, x)
    if y.shape.rank != 4 or y.shape[0] != 1:
        raise ValueError(
            "Expected an operator that gives rows of images; received rows of "
            f"shape {y.shape[1:]} for images {tuple(x.shape[1:])}."
        )
    combined = _apply(operator, 2.0 * x - 3.0 * other)
    expected = 2.0 * y - 3.0 * _apply(operator, other)
    scale = tf.norm(expected) + tf.norm(y)
    if tf.norm(combined - expected) > _LINEAR * scale:
        raise ValueError(
            "Expected a linear operator: A(2x - 3z) is not 2 A(x) - 3 A(z)."
        )
    return tuple(y.shape[1:])


def _norm(operator, x):
    """By power iteration on `A^T A`, `A^T` being the gradient of `A`."""
    for _ in range(_POWER_ITERATIONS):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = _apply(operator, x)
            half_square = 0.5 * tf.reduce_sum(tf.square(y))
        x = tape.gradient(half_square, x)  # A^T A x
        x /= tf.maximum(tf.norm(x), 1e-30)
    return float(tf.norm(_apply(operator, x)))
