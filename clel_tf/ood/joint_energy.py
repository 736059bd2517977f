import math

import keras

from clel_tf.ood.ood_score import OODScore


@keras.saving.register_keras_serializable(package="clel_tf")
class JointEnergy(OODScore):
    """The joint energy of an image and its own latent: a model's default.

        score(x) = E(x) - beta cos(g(f(x)), h(x))

    `f` and `g` are the energy network's two outputs and `h` is the encoder.

    Args:
        beta: float >= 0 or None. Weight of the latents, in units of energy;
            None for the model's `beta`. The cosine is within [-1, 1], so it
            counts where `beta` is not small against what energies of images
            differ by.

    Raises:
        ValueError: if `beta` is out of its range; by `score_rows`, if the model
            has no encoder.

    Example:

    >>> model = clel_tf.models.CLEL.from_preset("digits")
    >>> images = np.zeros((4, 8, 8, 1), "uint8")
    >>> model.score(images, score=clel_tf.ood.JointEnergy(beta=0.01)).shape
    (4,)

    Reference:
        [Lee et al.: Guiding Energy-based Models via Contrastive Latent
        Variables, ICLR 2023](https://arxiv.org/abs/2303.03023),
        out-of-distribution detection
    """

    def __init__(self, beta=None, **kwargs):
        super().__init__(**kwargs)
        if beta is not None and not 0 <= beta < math.inf:
            raise ValueError(
                "Expected `beta` to be at least 0 and finite, or None; "
                f"received: {beta!r}."
            )
        self.beta = None if beta is None else float(beta)

    def score_rows(self, model, images):
        latents = model.unit_latents(images)
        return model.energy(images, latents, beta=self.beta)

    def get_config(self):
        return {**super().get_config(), "beta": self.beta}
