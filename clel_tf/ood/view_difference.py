import keras
import tensorflow as tf

from clel_tf import random
from clel_tf.models.inference_function import inference_function
from clel_tf.ood.ood_score import OODScore


@keras.saving.register_keras_serializable(package="clel_tf")
class ViewDifference(OODScore):
    """The energy of an image compared with those of its augmented views.

        score(x) = E(x) - mean over i of E(t_i(x)),    i = 1, ..., views

    An image's complexity raises or lowers the energies of its views like its
    own, and drops out.

    The views are the same at every call. Each image is augmented by itself, as
    the first of a batch, so that the `t_i` are the same transformations for
    all images, in batches of any size and order.

    Args:
        views: int >= 1. Views of each image, by the model's `augmentation`. A
            score costs `views + 1` energies.
        seed: int. View `i` is drawn from it and `i` alone.

    Raises:
        ValueError: if `views` is no positive int.

    Example:

    >>> model = clel_tf.models.CLEL.from_preset("digits")
    >>> images = np.zeros((4, 8, 8, 1), "uint8")
    >>> model.score(images, score=clel_tf.ood.ViewDifference(views=2)).shape
    (4,)
    """

    def __init__(self, views=8, seed=0, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(views, int) or views < 1:
            raise ValueError(
                f"Expected `views` to be a positive int; received: {views!r}."
            )
        self.views = views
        self.seed = seed

    def score_rows(self, model, images):
        network = inference_function(model.ema_energy_network)

        def energies_of_view(number):
            key = random.fold_in(random.as_key(self.seed), number)
            views = tf.vectorized_map(
                lambda image: model.augmentation(image[None], seed=key)[0],
                images,
            )
            return model.energy(views, network=network)

        energies = tf.map_fn(
            energies_of_view,
            tf.range(self.views),
            parallel_iterations=1,  # one batch of feature maps at a time
            fn_output_signature=tf.TensorSpec(images.shape[:1]),
        )
        own = model.energy(images, network=network)
        return own - tf.reduce_mean(energies, axis=0)

    def get_config(self):
        return {
            **super().get_config(),
            "views": self.views,
            "seed": self.seed,
        }
