import keras

from clel_tf.samplers.energies.energy import Energy


@keras.saving.register_keras_serializable(package="clel_tf")
class ProductOfExperts(Energy):
    """The sum of whole energies: the product of their densities.

        E(x) = E_1(x) + E_2(x) + ...

    Of two energies of one model the prior is counted twice, which makes a
    density `p(x)**2`, sharper than the data's: `Marginal() + a + b` counts it
    once.

    Args:
        terms: sequence of two or more `Energy`s.

    Example:

    >>> from clel_tf.samplers import energies
    >>> squared = energies.ProductOfExperts([energies.Marginal()] * 2)

    Reference:
        [Hinton: Training Products of Experts by Minimizing Contrastive
        Divergence, Neural Computation 2002](
        https://doi.org/10.1162/089976602760128018)
    """

    def __init__(self, terms):
        terms = tuple(terms)
        if len(terms) < 2 or not all(isinstance(x, Energy) for x in terms):
            raise TypeError(
                f"Expected two or more whole energies; received: {terms!r}."
            )
        super().__init__(terms)

    def value(self, seen, rows):
        return sum(t.value(seen, r) for t, r in zip(self.terms, rows[1]))

    def guidance(self, seen, rows):
        return sum(t.guidance(seen, r) for t, r in zip(self.terms, rows[1]))
