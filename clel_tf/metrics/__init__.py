"""Figures that judge samples and representations, on plain arrays."""

from clel_tf.metrics.digits_evaluation import DigitsEvaluator
from clel_tf.metrics.frechet_distance import frechet_distance
from clel_tf.metrics.knn_accuracy import knn_accuracy
from clel_tf.metrics.memorised import memorised
from clel_tf.metrics.precision_coverage import PrecisionCoverage
from clel_tf.metrics.precision_coverage import precision_coverage

__all__ = [
    "DigitsEvaluator",
    "PrecisionCoverage",
    "frechet_distance",
    "knn_accuracy",
    "memorised",
    "precision_coverage",
]
