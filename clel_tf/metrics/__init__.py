"""Figures that judge samples and representations, on plain arrays."""

from clel_tf.metrics import extractors
from clel_tf.metrics.detection import Detection
from clel_tf.metrics.detection import Interval
from clel_tf.metrics.detection import detection
from clel_tf.metrics.detection import detection_difference
from clel_tf.metrics.digits_evaluation import DigitsEvaluator
from clel_tf.metrics.distances import nearest_references
from clel_tf.metrics.feature_moments import FeatureMoments
from clel_tf.metrics.frechet_distance import frechet_distance
from clel_tf.metrics.inception_score import InceptionScore
from clel_tf.metrics.inception_score import inception_score
from clel_tf.metrics.kernel_distance import KernelDistance
from clel_tf.metrics.kernel_distance import kernel_distance
from clel_tf.metrics.knn_accuracy import knn_accuracy
from clel_tf.metrics.linear_probe_accuracy import linear_probe_accuracy
from clel_tf.metrics.memorised import memorised
from clel_tf.metrics.prdc import PRDC
from clel_tf.metrics.prdc import prdc

__all__ = [
    "Detection",
    "DigitsEvaluator",
    "FeatureMoments",
    "InceptionScore",
    "Interval",
    "KernelDistance",
    "PRDC",
    "detection",
    "detection_difference",
    "extractors",
    "frechet_distance",
    "inception_score",
    "kernel_distance",
    "knn_accuracy",
    "linear_probe_accuracy",
    "memorised",
    "nearest_references",
    "prdc",
]
