import keras
import tensorflow as tf

from clel_tf.samplers.energies.energy import Energy
from clel_tf.samplers.energies.guidance import Guidance


@keras.saving.register_keras_serializable(package="clel_tf")
class Marginal(Energy):
    """The model's marginal energy, steered by guidance terms.

        E(x) = |f(x)|**2 / 2 + sum_i term_i(x)

    However many terms there are, the prior `|f|**2 / 2` is counted once.

    Args:
        terms: sequence of `Guidance` terms, to be added.

    Example:

    >>> from clel_tf.samplers import energies
    >>> model = clel_tf.models.CLEL.from_preset("digits")
    >>> first, second = np.eye(2, 64)
    >>> both = energies.Conditional(first, beta=1e-3)
    >>> both += energies.Conditional(second, beta=1e-3)
    >>> model.sample(4, energy=energies.Marginal() + both, num_steps=2).shape
    (4, 8, 8, 1)
    """

    def __init__(self, terms=()):
        terms = tuple(terms)
        for term in terms:
            if not isinstance(term, Guidance):
                raise TypeError(
                    "Expected guidance terms beside the marginal energy, as "
                    "the prior is counted once (a product of whole energies "
                    f"is `ProductOfExperts`); received: {term!r}."
                )
        super().__init__(terms)

    def value(self, seen, rows):
        values = (t.value(seen, r) for t, r in zip(self.terms, rows[1]))
        return sum(values, seen.energy)

    def guidance(self, seen, rows):
        values = (t.value(seen, r) for t, r in zip(self.terms, rows[1]))
        return sum(values, tf.zeros(tf.shape(seen.images)[:1]))

    def __add__(self, other):
        return Marginal((*self.terms, other))

    __radd__ = __and__ = __rand__ = __add__
