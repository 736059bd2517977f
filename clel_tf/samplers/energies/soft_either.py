import keras
import tensorflow as tf

from clel_tf.samplers.energies.term import check_at_least
from clel_tf.samplers.energies.weighted_terms import WeightedTerms


@keras.saving.register_keras_serializable(package="clel_tf")
class SoftEither(WeightedTerms):
    """OR within each row: the logarithm of a sum of densities.

        -T log sum_i w_i exp(-term_i(x) / T)

    at the chain's temperature `T`. A chain follows whichever term is lower, so
    the shares are the weights' times how much mass each term leaves, not the
    weights alone: for these see `Either`.

    Args:
        terms: sequence of `Guidance` terms, none an exact constraint.
        weights: float array `(terms,)`, or `(n, terms)`; above 0. Defaults to
            ones.

    Example:

    >>> from clel_tf.samplers import energies
    >>> soft = energies.SoftEither(energies.Conditional(z) for z in np.eye(2))
    """

    def __init__(self, terms, weights=None):
        super().__init__(terms, weights)
        if self.is_constrained:
            raise ValueError(
                "Expected terms without exact constraints, of which `Either` "
                "takes one a row; received one."
            )

    def validate(self):
        super().validate()
        check_at_least("weights", self.weights, 0, exclusive=True)

    def stiffness(self, setting):
        return max(term.stiffness(setting) for term in self.terms)

    def check(self, setting):
        super().check(setting)
        if not setting.temperature > 0:
            raise ValueError(
                "Expected chains of a temperature above 0 for SoftEither; "
                f"received: {setting.temperature}."
            )

    def value(self, seen, rows):
        values = [term.value(seen, r) for term, r in zip(self.terms, rows[1])]
        logits = tf.math.log(rows[0]["weights"])
        logits -= tf.stack(values, axis=-1) / seen.temperature
        return -seen.temperature * tf.reduce_logsumexp(logits, axis=-1)
