import keras
import numpy as np
import tensorflow as tf

from clel_tf.samplers.energies.guidance import Guidance
from clel_tf.samplers.energies.term import check_at_least


@keras.saving.register_keras_serializable(package="clel_tf")
class WeightedSum(Guidance):
    """AND: guidance terms added with weights; `2.0 * a + b` makes one.

        sum_i w_i term_i(x)

    Args:
        terms: sequence of `Guidance` terms.
        weights: float array `(terms,)`, or `(n, terms)` for others in each row;
            at least 0. Defaults to ones.

    Example:

    >>> from clel_tf.samplers import energies
    >>> a, b = (energies.Conditional(z) for z in np.eye(2))
    >>> (2.0 * a + b).weights
    array([2., 1.], dtype=float32)
    """

    ranks = {"weights": 1}

    def __init__(self, terms, weights=None):
        terms = as_guidance(terms)
        if weights is None:
            weights = np.ones(len(terms))
        super().__init__(terms, weights=weights)

    def validate(self):
        check_weights(self.weights, self.terms)

    @classmethod
    def of(cls, *terms):
        """The sum of terms; sums among them become part of it."""
        if not all(isinstance(term, Guidance) for term in terms):
            return NotImplemented
        sums = [x if isinstance(x, cls) else cls((x,)) for x in terms]
        weights = [x.weights for x in sums]
        if any(w.ndim == 2 for w in weights):
            return cls(terms)
        join = tf.concat if any(map(tf.is_tensor, weights)) else np.concatenate
        parts = [part for x in sums for part in x.terms]
        return cls(parts, join(weights, axis=-1))

    def value(self, seen, rows):
        weights = rows[0]["weights"]
        return sum(
            weights[:, i] * term.value(seen, r)
            for i, (term, r) in enumerate(zip(self.terms, rows[1]))
        )

    def setting_of(self, i, setting):
        if tf.is_tensor(self.weights):
            return setting
        largest = float(np.max(self.weights[..., i]))
        return setting._replace(weight=setting.weight * largest)

    def __mul__(self, weight):
        weight = np.asarray(weight, "float32")
        return WeightedSum(self.terms, weight[..., np.newaxis] * self.weights)

    __rmul__ = __mul__

    def get_config(self):
        return with_weights(super().get_config(), self.weights)


def as_guidance(terms):
    """A tuple of guidance terms, or the error that they are none."""
    terms = tuple(terms)
    if not terms or not all(isinstance(term, Guidance) for term in terms):
        raise TypeError(f"Expected guidance terms; received: {terms!r}.")
    return terms


def check_weights(weights, terms):
    """Raises unless there is one weight a term, and none is negative."""
    check_at_least("weights", weights, 0)
    if weights is not None and weights.shape[-1] != len(terms):
        raise ValueError(
            f"Expected {len(terms)} weights, one a term; received: "
            f"{weights.shape[-1]}."
        )


def with_weights(config, weights):
    """A configuration with the weights, where they are the same in all rows."""
    if weights is not None and weights.ndim == 1:
        config["weights"] = np.asarray(weights).tolist()
    return config
