import keras
import numpy as np
import tensorflow as tf

from clel_tf import random
from clel_tf.samplers.energies.guidance import Guidance
from clel_tf.samplers.energies.weighted_terms import WeightedTerms


@keras.saving.register_keras_serializable(package="clel_tf")
class Either(WeightedTerms):
    """OR: each row is guided by one of the terms, drawn by their weights.

        p(x) = sum_i w_i p(x | term_i)

    The mixture is exact, and its shares are the weights', however easy the
    terms are to fulfil. `a | b` makes one; `CLEL.components` tells which term
    each sample has. `SoftEither` is the other reading of OR.

    Args:
        terms: sequence of `Guidance` terms.
        weights: float array `(terms,)`, or `(n, terms)` for others in each row;
            at least 0, not all 0. They are divided by their sum. Defaults to
            equal ones.

    Example:

    >>> from clel_tf.samplers import energies
    >>> a, b = (energies.Conditional(z, beta=1.0) for z in np.eye(2))
    >>> seeds = clel_tf.random.row_seeds(0, 1000)
    >>> counts = np.bincount((a | b).components(clel_tf.random.as_key(seeds)))
    >>> bool(np.all(np.abs(counts - 500) < 60))
    True
    """

    def validate(self):
        super().validate()
        if isinstance(self.weights, np.ndarray):
            totals = self.weights.sum(axis=-1)
            if not np.all(totals > 0):
                raise ValueError(
                    "Expected `weights` with a positive sum; received: "
                    f"{self.weights.tolist()}."
                )

    def stiffness(self, setting):
        return max(term.stiffness(setting) for term in self.terms)

    @classmethod
    def of(cls, *terms):
        """OR of terms; ORs of equal weights among them become part of it."""
        if not all(isinstance(term, Guidance) for term in terms):
            return NotImplemented
        parts: list[Guidance] = []
        for term in terms:
            even = isinstance(term, cls) and np.ptp(term.weights) == 0
            parts += term.terms if even else [term]
        return cls(parts)

    def rows(self, keys, setting=None):
        own, terms = super().rows(keys, setting)
        # A key of its own, apart from those that the terms get.
        drawn = random.uniform(random.fold_in(keys, -1))
        bounds = tf.cumsum(own["weights"], axis=-1)
        below = drawn[:, tf.newaxis] * bounds[:, -1:] >= bounds
        component = tf.reduce_sum(tf.cast(below, tf.int32), axis=-1)
        last = len(self.terms) - 1
        return {**own, "component": tf.minimum(component, last)}, terms

    def components(self, keys):
        """Which term each row of `rows(keys)` has.

        Of samples of a model, `CLEL.components` tells.

        Args:
            keys: uint64 tensor `(n,)`, a key a row.

        Returns:
            int32 NumPy array `(n,)`, places in `terms`.
        """
        return self.rows(keys)[0]["component"].numpy()

    def value(self, seen, rows):
        values = [term.value(seen, r) for term, r in zip(self.terms, rows[1])]
        component = rows[0]["component"]
        return tf.gather(tf.stack(values, axis=-1), component, batch_dims=1)

    def project(self, images, rows):
        projected = images
        for i, (term, its_rows) in enumerate(zip(self.terms, rows[1])):
            chosen = tf.equal(rows[0]["component"], i)
            projected = tf.where(
                chosen[:, tf.newaxis, tf.newaxis, tf.newaxis],
                term.project(images, its_rows),
                projected,
            )
        return projected

    def __invert__(self):
        # Neither of them.
        return sum((~term for term in self.terms[1:]), ~self.terms[0])
