"""Keras callbacks for training energy-based models."""

from clel_tf.callbacks.checkpoints import Checkpoints
from clel_tf.callbacks.divergence_error import DivergenceError
from clel_tf.callbacks.divergence_guard import DivergenceGuard
from clel_tf.callbacks.metrics_logger import MetricsLogger
from clel_tf.callbacks.progress_table import ProgressTable
from clel_tf.callbacks.resume import Resume
from clel_tf.callbacks.sample_grid import SampleGrid
from clel_tf.callbacks.stop_on_signal import StopOnSignal

__all__ = [
    "Checkpoints",
    "DivergenceError",
    "DivergenceGuard",
    "MetricsLogger",
    "ProgressTable",
    "Resume",
    "SampleGrid",
    "StopOnSignal",
]
