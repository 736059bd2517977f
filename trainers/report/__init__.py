"""The page of an evaluation: one file of HTML, which needs nothing else."""

from clel_tf.trainers.report.write import write

__all__ = ["write"]
