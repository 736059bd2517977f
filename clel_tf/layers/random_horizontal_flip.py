"""Random mirror images."""

import keras
from keras import ops

from clel_tf import random
from clel_tf.layers.random_image_layer import RandomImageLayer
from clel_tf.layers.random_image_layer import check_between
from clel_tf.layers.random_image_layer import per_image
from clel_tf.layers.random_image_layer import row_keys


@keras.saving.register_keras_serializable(package="clel_tf")
class RandomHorizontalFlip(RandomImageLayer):
    """Swaps left and right of each image with a given probability.

    Args:
        probability: float within [0, 1]. Defaults to 0.5.
        seed: see `RandomImageLayer`, as are the call arguments.

    Raises:
        ValueError: if the probability is outside its range.

    Example:

    >>> import keras
    >>> from clel_tf.layers.random_horizontal_flip import RandomHorizontalFlip
    >>> row = keras.ops.reshape([0.0, 0.5, 1.0], (1, 1, 3, 1))
    >>> RandomHorizontalFlip(probability=1.0)(row).numpy().ravel()
    array([1. , 0.5, 0. ], dtype=float32)

    Reference:
        [Chen et al., 2020](https://arxiv.org/abs/2002.05709), Appendix A.
    """

    def __init__(self, probability=0.5, seed=None, **kwargs):
        super().__init__(seed=seed, **kwargs)
        self.probability = check_between("probability", probability, 0, 1)

    @property
    def changes_images(self):
        return self.probability > 0

    def augment(self, images, key):
        flipped = random.uniform(row_keys(images, key)) < self.probability
        mirrored = ops.flip(images, axis=2)
        return ops.where(per_image(flipped), mirrored, images)

    def get_config(self):
        return {**super().get_config(), "probability": self.probability}
