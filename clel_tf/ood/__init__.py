"""Out-of-distribution scores: how unlike its training data images are.

    threshold = model.calibrate_ood(held_out, score=ood.LatentNeighbors(k=5),
                                    training_images=images)
    model.is_ood(others)

Every score is higher the more an image is out of distribution. A score is a
layer: with what it has learned, it is saved and exported with its model.
"""

from clel_tf.ood.energy_difference import EnergyDifference
from clel_tf.ood.gradient_norm import GradientNorm
from clel_tf.ood.joint_energy import JointEnergy
from clel_tf.ood.latent_neighbors import LatentNeighbors
from clel_tf.ood.marginal_energy import MarginalEnergy
from clel_tf.ood.neighbor_energy import NeighborEnergy
from clel_tf.ood.ood_score import OODScore
from clel_tf.ood.typicality import Typicality
from clel_tf.ood.view_difference import ViewDifference

__all__ = [
    "EnergyDifference",
    "GradientNorm",
    "JointEnergy",
    "LatentNeighbors",
    "MarginalEnergy",
    "NeighborEnergy",
    "OODScore",
    "Typicality",
    "ViewDifference",
]
