"""Layers: normalisation, activation and random augmentations."""

from clel_tf.layers.batch_normalization import BatchNormalization
from clel_tf.layers.leaky_relu import LeakyReLU
from clel_tf.layers.random_color_jitter import RandomColorJitter
from clel_tf.layers.random_grayscale import RandomGrayscale
from clel_tf.layers.random_horizontal_flip import RandomHorizontalFlip
from clel_tf.layers.random_resized_crop import RandomResizedCrop
from clel_tf.layers.simclr_augmentation import SimCLRAugmentation
from clel_tf.layers.spectral_conv2d import SpectralConv2D

__all__ = [
    "BatchNormalization",
    "LeakyReLU",
    "RandomColorJitter",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "SimCLRAugmentation",
    "SpectralConv2D",
]
