from clel_tf.samplers.energies.term import Term


class Energy(Term):
    """A whole energy, whose density `exp(-E(x) / T)` a sampler can draw from.

    Whole energies take guidance terms (`energy + term`), but neither weights
    nor one another by operators: each holds a prior of its own.
    """

    def __neg__(self):
        raise TypeError(
            "Expected guidance terms for NOT (`~term`): minus a marginal "
            "energy has no lowest value, and its density no normalisation. "
            f"Received: {type(self).__name__}."
        )

    __invert__ = __neg__

    def __mul__(self, weight):
        raise TypeError(
            "Expected weights of guidance terms only: a weighted prior is "
            "another temperature, which the sampler sets; received: "
            f"{weight!r} * {type(self).__name__}."
        )

    __rmul__ = __mul__

    def __or__(self, other):
        raise TypeError(
            "Expected OR of guidance terms, `energy + (a | b)`, so that the "
            f"prior is counted once; received: {type(self).__name__} | "
            f"{type(other).__name__}."
        )

    __ror__ = __or__
