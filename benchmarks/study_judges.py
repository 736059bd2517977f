"""What judges the samples of a setting of the study."""

import clel_tf
from clel_tf.metrics import DigitsEvaluator


def judge(setting):
    """A function from float images to a dict of figures.

    Args:
        setting: str, "digits".
    """
    return {"digits": _digits}[setting]()


def _digits():
    data = clel_tf.data.load("digits")
    return DigitsEvaluator(
        data.x_train, data.y_train, data.x_test, data.levels
    ).figures
