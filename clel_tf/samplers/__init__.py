"""Samplers of energy-based models: Langevin chains and their replay buffer."""

from clel_tf.samplers import chain
from clel_tf.samplers import diagnostics
from clel_tf.samplers import diagnostics_plot
from clel_tf.samplers import energies
from clel_tf.samplers import langevin
from clel_tf.samplers import metropolis
from clel_tf.samplers import reflection
from clel_tf.samplers.candidates import Candidates
from clel_tf.samplers.compilation import in_halves
from clel_tf.samplers.compilation import resolve_jit_compile
from clel_tf.samplers.mala import MALA
from clel_tf.samplers.replay_buffer import Chains
from clel_tf.samplers.replay_buffer import ReplayBuffer
from clel_tf.samplers.sampler import Sampler
from clel_tf.samplers.sgld import SGLD

__all__ = [
    "Candidates",
    "Chains",
    "MALA",
    "ReplayBuffer",
    "SGLD",
    "Sampler",
    "chain",
    "diagnostics",
    "diagnostics_plot",
    "energies",
    "in_halves",
    "langevin",
    "metropolis",
    "reflection",
    "resolve_jit_compile",
]
