"""Energy-based image models guided by contrastive latent variables."""

from clel_tf import callbacks
from clel_tf import data
from clel_tf import layers
from clel_tf import losses
from clel_tf import metrics
from clel_tf import models
from clel_tf import ood
from clel_tf import optimizers
from clel_tf import presets
from clel_tf import random
from clel_tf import samplers
from clel_tf import teachers
from clel_tf.version import __version__

__all__ = [
    "__version__",
    "callbacks",
    "data",
    "layers",
    "losses",
    "metrics",
    "models",
    "ood",
    "optimizers",
    "presets",
    "random",
    "samplers",
    "teachers",
]
