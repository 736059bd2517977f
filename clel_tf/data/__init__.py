"""Sets of images as bytes, and their way into a training step."""

from clel_tf.data.checked_images import checked_images
from clel_tf.data.dequantize import dequantize
from clel_tf.data.dequantize import to_bytes
from clel_tf.data.faults import Faults
from clel_tf.data.image_data import ImageData
from clel_tf.data.interpolate import interpolate
from clel_tf.data.load import load
from clel_tf.data.select_classes import select_classes
from clel_tf.data.shifts import SHIFTS
from clel_tf.data.shifts import shift
from clel_tf.data.statistics import STATISTICS
from clel_tf.data.streamed_images import StreamedImages

__all__ = [
    "SHIFTS",
    "STATISTICS",
    "Faults",
    "ImageData",
    "StreamedImages",
    "checked_images",
    "dequantize",
    "interpolate",
    "load",
    "select_classes",
    "shift",
    "to_bytes",
]
