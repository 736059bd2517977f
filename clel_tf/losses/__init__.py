"""Losses of energy-based models with contrastive latent variables."""

from clel_tf.losses.contrastive_divergence import contrastive_divergence
from clel_tf.losses.latent_alignment import latent_alignment
from clel_tf.losses.nt_xent import nt_xent

__all__ = ["contrastive_divergence", "latent_alignment", "nt_xent"]
