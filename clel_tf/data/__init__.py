"""Sets of images, in memory as bytes, and their way into a training step."""

from clel_tf.data.dequantize import dequantize
from clel_tf.data.dequantize import to_bytes
from clel_tf.data.image_data import ImageData
from clel_tf.data.load import load

__all__ = ["ImageData", "dequantize", "load", "to_bytes"]
