"""Keras callbacks for training energy-based models."""

from clel_tf.callbacks.checkpoints import Checkpoints
from clel_tf.callbacks.metrics_logger import MetricsLogger
from clel_tf.callbacks.progress_table import ProgressTable
from clel_tf.callbacks.sample_grid import SampleGrid

__all__ = ["Checkpoints", "MetricsLogger", "ProgressTable", "SampleGrid"]
