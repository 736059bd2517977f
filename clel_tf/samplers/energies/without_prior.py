import keras

from clel_tf.samplers.energies.energy import Energy
from clel_tf.samplers.energies.weighted_terms import as_guidance


@keras.saving.register_keras_serializable(package="clel_tf")
class WithoutPrior(Energy):
    """Terms alone, without the model's marginal energy.

        E(x) = sum_i term_i(x)

    For densities of one's own (a `Function`), which then may lack a network.

    Args:
        terms: sequence of `Guidance` terms.

    Example:

    >>> from clel_tf import samplers
    >>> from clel_tf.samplers import energies
    >>> bowl = energies.Function(lambda x: 50.0 * tf.reduce_sum(
    ...     (x - 0.5) ** 2, axis=(1, 2, 3)))
    >>> keys = clel_tf.random.as_key(np.arange(4))
    >>> energy = energies.WithoutPrior([bowl]).bind(None, keys)
    >>> sampler = samplers.SGLD(step_size=0.005, noise_scale=0.01)
    >>> samples, _ = sampler.run(energy, tf.zeros((4, 8, 8, 1)), keys)
    >>> samples.shape
    TensorShape([4, 8, 8, 1])
    """

    def __init__(self, terms):
        super().__init__(as_guidance(terms))

    def value(self, seen, rows):
        return sum(t.value(seen, r) for t, r in zip(self.terms, rows[1]))

    def __add__(self, other):
        return WithoutPrior((*self.terms, other))

    __radd__ = __and__ = __rand__ = __add__
