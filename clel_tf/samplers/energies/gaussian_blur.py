import math

import keras
import numpy as np
import tensorflow as tf


@keras.saving.register_keras_serializable(package="clel_tf")
class GaussianBlur:
    """Linear operator: a Gaussian blur, images mirrored at their edges.

    Args:
        stddev: float > 0, in pixels. The kernel ends at three of them, or where
            mirrored images do, at their size.

    Example:

    >>> from clel_tf.samplers import energies
    >>> energies.GaussianBlur(1.0)(tf.ones((1, 8, 8, 1))).shape
    TensorShape([1, 8, 8, 1])
    """

    def __init__(self, stddev):
        if not stddev > 0:
            raise ValueError(
                f"Expected `stddev` to be positive; received: {stddev!r}."
            )
        self.stddev = stddev

    def __call__(self, images):
        _, height, width, channels = images.shape
        radius = min(math.ceil(3 * self.stddev), height, width)
        offsets = np.arange(-radius, radius + 1)
        kernel = np.exp(-0.5 * (offsets / self.stddev) ** 2)
        kernel = (kernel / kernel.sum()).astype("float32")
        padding = [[0, 0], [radius] * 2, [radius] * 2, [0, 0]]
        images = tf.pad(images, padding, "SYMMETRIC")
        for shape in ((-1, 1, 1, 1), (1, -1, 1, 1)):
            filters = np.tile(kernel.reshape(shape), (1, 1, channels, 1))
            images = tf.nn.depthwise_conv2d(
                images, filters, (1, 1, 1, 1), "VALID"
            )
        return images

    def get_config(self):
        return {"stddev": self.stddev}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __eq__(self, other):
        return type(self) is type(other) and self.stddev == other.stddev

    def __hash__(self):
        return hash((type(self), self.stddev))
