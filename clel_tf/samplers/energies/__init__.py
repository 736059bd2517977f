"""Energies as values: one marginal, steered by guidance terms that compose.

    E = Marginal() + 2.0 * Conditional(a) + ~Conditional(b)      AND, NOT
    E = Marginal() + (Conditional(a) | Conditional(b))           OR
    E = Marginal() + Inpaint(images, mask)                       restoration

`CLEL.sample(n, energy=E)` draws from `exp(-E(x) / T)`; for other samplers and
networks, `E.bind(network, keys)` is a function of images. An energy is static
structure plus tensors: one graph is compiled for each structure, whatever the
conditions, which may differ from row to row.
"""

from clel_tf.samplers.energies.average_pool import AveragePool
from clel_tf.samplers.energies.avoid import Avoid
from clel_tf.samplers.energies.class_means import class_means
from clel_tf.samplers.energies.class_means import like
from clel_tf.samplers.energies.class_means import nearest_class_mean_accuracy
from clel_tf.samplers.energies.conditional import Conditional
from clel_tf.samplers.energies.data_fidelity import DataFidelity
from clel_tf.samplers.energies.either import Either
from clel_tf.samplers.energies.energy import Energy
from clel_tf.samplers.energies.function import Function
from clel_tf.samplers.energies.gaussian_blur import GaussianBlur
from clel_tf.samplers.energies.guidance import Guidance
from clel_tf.samplers.energies.inpaint import Inpaint
from clel_tf.samplers.energies.marginal import Marginal
from clel_tf.samplers.energies.product_of_experts import ProductOfExperts
from clel_tf.samplers.energies.soft_either import SoftEither
from clel_tf.samplers.energies.term import Bound
from clel_tf.samplers.energies.term import Setting
from clel_tf.samplers.energies.term import Term
from clel_tf.samplers.energies.weighted_sum import WeightedSum
from clel_tf.samplers.energies.without_prior import WithoutPrior

__all__ = [
    "AveragePool",
    "Avoid",
    "Bound",
    "Conditional",
    "DataFidelity",
    "Either",
    "Energy",
    "Function",
    "GaussianBlur",
    "Guidance",
    "Inpaint",
    "Marginal",
    "ProductOfExperts",
    "Setting",
    "SoftEither",
    "Term",
    "WeightedSum",
    "WithoutPrior",
    "class_means",
    "like",
    "nearest_class_mean_accuracy",
]
