import numpy as np
import tensorflow as tf

from clel_tf.samplers.energies.guidance import Guidance
from clel_tf.samplers.energies.term import check_at_least


class WeightedTerms(Guidance):
    """Base of the compositions of guidance terms that have weights.

    Args:
        terms: sequence of `Guidance` terms.
        weights: float array `(terms,)`, or `(n, terms)` for others in each row;
            at least 0. Defaults to ones.
    """

    ranks = {"weights": 1}
    weights: np.ndarray | tf.Tensor

    def __init__(self, terms, weights=None):
        terms = as_guidance(terms)
        if weights is None:
            weights = np.ones(len(terms))
        super().__init__(terms, weights=weights)

    def validate(self):
        check_at_least("weights", self.weights, 0)
        if self.weights is not None and self.weights.shape[-1] != len(
            self.terms
        ):
            raise ValueError(
                f"Expected {len(self.terms)} weights, one a term; received: "
                f"{self.weights.shape[-1]}."
            )

    def get_config(self):
        config = super().get_config()
        if self.weights is not None and self.weights.ndim == 1:
            config["weights"] = np.asarray(self.weights).tolist()
        return config


def as_guidance(terms):
    """A tuple of guidance terms, or the error that they are none."""
    terms = tuple(terms)
    if not terms or not all(isinstance(term, Guidance) for term in terms):
        raise TypeError(f"Expected guidance terms; received: {terms!r}.")
    return terms
