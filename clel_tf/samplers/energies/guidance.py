import numbers

import numpy as np
import tensorflow as tf

from clel_tf.samplers.energies.term import Term


class Guidance(Term):
    """A term that steers a marginal energy; it is no density by itself.

    Terms compose, and the prior that they are added to is counted once:

        a + b, a & b     AND: the sum of both
        2.0 * a          with more weight; never with a negative one
        a | b            OR: one of both in each row, see `Either`
        ~a               NOT, where the term has one, see `Avoid`
    """

    # Arrays of weights leave the product to `__rmul__`.
    __array_ufunc__ = None

    def __add__(self, other):
        from clel_tf.samplers.energies.weighted_sum import WeightedSum

        return WeightedSum.of(self, other)

    __and__ = __add__

    def __mul__(self, weight):
        from clel_tf.samplers.energies.weighted_sum import WeightedSum

        if not (isinstance(weight, numbers.Real) or np.ndim(weight) == 1):
            return NotImplemented
        weights = weight if tf.is_tensor(weight) else np.asarray(weight)
        return WeightedSum((self,), weights[..., np.newaxis])

    __rmul__ = __mul__

    def __or__(self, other):
        from clel_tf.samplers.energies.either import Either

        return Either.of(self, other)

    def __invert__(self):
        raise TypeError(
            "Expected NOT of a condition on latents, which is bounded (see "
            f"`Avoid`); received: {type(self).__name__}."
        )

    def __neg__(self):
        raise TypeError(
            "Expected guidance with a positive weight: pushed away without a "
            "bound, chains leave the data. NOT is `~term`; received: "
            f"-{type(self).__name__}."
        )

    def __sub__(self, other):
        return -other
