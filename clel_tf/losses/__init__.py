"""Losses of energy-based models and of what guides them."""

from clel_tf.losses.byol import byol
from clel_tf.losses.contrastive_divergence import contrastive_divergence
from clel_tf.losses.latent_alignment import latent_alignment
from clel_tf.losses.masked_reconstruction import masked_reconstruction
from clel_tf.losses.nt_xent import nt_xent
from clel_tf.losses.supervised_contrastive import supervised_contrastive

__all__ = [
    "byol",
    "contrastive_divergence",
    "latent_alignment",
    "masked_reconstruction",
    "nt_xent",
    "supervised_contrastive",
]
