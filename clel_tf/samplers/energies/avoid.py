import keras
import tensorflow as tf

from clel_tf.samplers.energies.latent_guidance import LatentGuidance


@keras.saving.register_keras_serializable(package="clel_tf")
class Avoid(LatentGuidance):
    """Guidance away from a latent: NOT.

        +beta relu(cos(g(f(x)), z) - margin)

    Bounded, and without any pull on images that are far enough from `z`.

    Args:
        latents: float array `(d,)`, or `(n, d)` for one a row.
        ratio: float >= 0, or `(n,)`; see `Conditional`.
        beta: float >= 0, or `(n,)`.
        margin: float in [-1, 1], or `(n,)`. The cosine below which an image is
            left alone.

    Example:

    >>> from clel_tf.samplers import energies
    >>> no_seven = ~energies.Conditional(np.ones(64))
    >>> no_seven == energies.Avoid(np.ones(64))
    True
    """

    ranks = {**LatentGuidance.ranks, "margin": 0}

    def __init__(self, latents=None, ratio=None, beta=None, margin=0.0):
        super().__init__(latents, ratio, beta, margin=margin)

    def value(self, seen, rows):
        excess = tf.nn.relu(self.cosine(seen, rows) - rows[0]["margin"])
        return self.weight(seen, rows) * excess
