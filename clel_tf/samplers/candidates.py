import dataclasses


@dataclasses.dataclass(frozen=True)
class Candidates:
    """How guided chains find the modes that they are guided to.

    Chains of a low temperature settle in a mode within a few steps and do not
    leave it, so weak guidance comes too late and strong guidance spoils the
    images. Each row therefore begins as several chains under guidance that is
    many times as strong. After a share of the steps one of them is drawn,

        chain k with probability ~ exp(-G(x_k) / T),

    `G` being the guidance's energy as it is, under which it makes the remaining
    steps. It is a search for modes, which favours those of strong guidance over
    their share of the density; `candidates=1` is the plain chain.

    Args:
        count: int >= 1. Chains a row; 1 for none but the row's own.
        share: float in (0, 1). Share of the steps before one is drawn.

    Raises:
        ValueError: if an argument does not fit.

    Example:

    >>> from clel_tf.samplers import Candidates
    >>> Candidates(8).steps_of(140)
    20
    """

    count: int = 16
    share: float = 1 / 7

    def __post_init__(self):
        if not isinstance(self.count, int) or self.count < 1:
            raise ValueError(
                f"Expected `count` to be a positive int; received: "
                f"{self.count!r}."
            )
        if not 0.0 < self.share < 1.0:
            raise ValueError(
                f"Expected `share` between 0 and 1; received: {self.share!r}."
            )

    def steps_of(self, num_steps):
        """The number of steps before one is drawn."""
        return round(self.share * num_steps)
