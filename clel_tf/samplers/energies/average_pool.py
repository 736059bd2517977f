import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="clel_tf")
class AveragePool:
    """Linear operator: means of squares of pixels, for super-resolution.

    Args:
        factor: int >= 2. Side of a square; it has to divide height and width.

    Example:

    >>> from clel_tf.samplers import energies
    >>> energies.AveragePool(2)(tf.ones((1, 8, 8, 1))).shape
    TensorShape([1, 4, 4, 1])
    """

    def __init__(self, factor):
        if not isinstance(factor, int) or factor < 2:
            raise ValueError(
                f"Expected `factor` an int >= 2; received: {factor!r}."
            )
        self.factor = factor

    def __call__(self, images):
        if any(size % self.factor for size in images.shape[1:3]):
            raise ValueError(
                f"Expected images whose sides {self.factor} divides; received: "
                f"{images.shape[1:]}."
            )
        return tf.nn.avg_pool2d(images, self.factor, self.factor, "VALID")

    def get_config(self):
        return {"factor": self.factor}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __eq__(self, other):
        return type(self) is type(other) and self.factor == other.factor

    def __hash__(self):
        return hash((type(self), self.factor))
