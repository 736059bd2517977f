from clel_tf.samplers.energies.term import Term


class Energy(Term):
    """A whole energy, whose density `exp(-E(x) / T)` a sampler can draw from.

    `Marginal` and `WithoutPrior` take guidance terms (`energy + term`). None
    takes weights or another energy by operators: each holds its own prior.
    """

    def check(self, setting):
        super().check(setting)
        stiffness = self.stiffness(setting)
        if not stiffness < 2.0:
            raise ValueError(
                "Expected step * weight * T / sigma**2 * |A|**2 below 2 over "
                "all measurements, where Langevin steps are stable; received: "
                f"{stiffness:.3g}. Take a smaller weight or step."
            )

    def rows(self, keys, setting=None):
        if setting is not None:
            count = max(self.measurements, 1)
            setting = setting._replace(measurements=count)
        return super().rows(keys, setting)

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
