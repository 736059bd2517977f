"""Energy networks, encoders and the joint model."""

from clel_tf.models.clel import CLEL
from clel_tf.models.energy_resnet import EnergyResNet
from clel_tf.models.inference_function import inference_function
from clel_tf.models.precision import resolve_dtype
from clel_tf.models.reference_checkpoint import load_reference_checkpoint
from clel_tf.models.resnet_encoder import ResNetEncoder

__all__ = [
    "CLEL",
    "EnergyResNet",
    "ResNetEncoder",
    "inference_function",
    "load_reference_checkpoint",
    "resolve_dtype",
]
