import keras
import numpy as np
import tensorflow as tf

from clel_tf.samplers.energies.guidance import Guidance
from clel_tf.samplers.energies.weighted_terms import WeightedTerms


@keras.saving.register_keras_serializable(package="clel_tf")
class WeightedSum(WeightedTerms):
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
