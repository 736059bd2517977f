"""Teachers: what trains the encoder whose latents guide the energy."""

from clel_tf.teachers.byol import BYOL
from clel_tf.teachers.frozen import Frozen
from clel_tf.teachers.masked import Masked
from clel_tf.teachers.simclr import SimCLR
from clel_tf.teachers.supervised import Supervised
from clel_tf.teachers.teacher import Teacher

__all__ = [
    "BYOL",
    "Frozen",
    "Masked",
    "SimCLR",
    "Supervised",
    "Teacher",
]
