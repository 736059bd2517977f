"""Random conversion to gray."""

import keras
from keras import ops

from clel_tf import random
from clel_tf.layers.random_image_layer import RandomImageLayer
from clel_tf.layers.random_image_layer import check_between
from clel_tf.layers.random_image_layer import per_image
from clel_tf.layers.random_image_layer import row_keys

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


@keras.saving.register_keras_serializable(package="clel_tf")
class RandomGrayscale(RandomImageLayer):
    """Turns each image gray with a given probability.

        gray = 0.299 R + 0.587 G + 0.114 B

    The three channels stay, with equal values; one-channel images pass
    unchanged. `keras.layers.RandomGrayscale` cannot be given a call's key.

    Args:
        probability: float within [0, 1]. Defaults to 0.2.
        seed: see `RandomImageLayer`, as are the call arguments.

    Raises:
        ValueError: if the probability is outside its range.

    Example:

    >>> import keras
    >>> from clel_tf.layers.random_grayscale import RandomGrayscale
    >>> red = keras.ops.array([[[[1.0, 0.0, 0.0]]]])
    >>> RandomGrayscale(probability=1.0)(red).numpy()
    array([[[[0.299, 0.299, 0.299]]]], dtype=float32)

    Reference:
        [Chen et al., 2020](https://arxiv.org/abs/2002.05709), Appendix A.
    """

    def __init__(self, probability=0.2, seed=None, **kwargs):
        super().__init__(seed=seed, **kwargs)
        self.probability = check_between("probability", probability, 0, 1)

    @property
    def changes_images(self):
        return self.probability > 0

    def augment(self, images, key):
        if images.shape[-1] == 1:
            return images
        changed = random.uniform(row_keys(images, key)) < self.probability
        return ops.where(per_image(changed), grayscale(images), images)

    def get_config(self):
        return {**super().get_config(), "probability": self.probability}


def grayscale(images):
    """Returns gray images `[B, H, W, 3]` of those in RGB, `[B, H, W, 3]`."""
    # Multiplied and summed: a matmul may round to TensorFloat-32 on a GPU.
    luma = ops.sum(images * ops.array(_LUMA), axis=-1, keepdims=True)
    return ops.repeat(luma, 3, axis=-1)
