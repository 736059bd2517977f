"""Samplers of energy-based models: Langevin chains and their replay buffer."""

from clel_tf.samplers import langevin
from clel_tf.samplers.compilation import in_halves
from clel_tf.samplers.compilation import resolve_jit_compile
from clel_tf.samplers.replay_buffer import Chains
from clel_tf.samplers.replay_buffer import ReplayBuffer
from clel_tf.samplers.sgld import SGLD

__all__ = [
    "Chains",
    "ReplayBuffer",
    "SGLD",
    "in_halves",
    "langevin",
    "resolve_jit_compile",
]
