import keras

from clel_tf.samplers.energies.avoid import Avoid
from clel_tf.samplers.energies.latent_guidance import LatentGuidance


@keras.saving.register_keras_serializable(package="clel_tf")
class Conditional(LatentGuidance):
    """Guidance towards a latent: of an image, of a class, of an attribute.

        -beta cos(g(f(x)), z)

    Added to the marginal energy, `p(x | z)` of CLEL's joint density, sharpened
    where `beta` is larger than in training. `~` of it is `Avoid`.

    Args:
        latents: float array `(d,)`, or `(n, d)` for one a row: `z`, made unit
            vectors.
        ratio: float >= 0, or `(n,)`. Weight in multiples of the energy's own
            scale, `beta / (2 E)`; the default where `beta` is not given.
        beta: float >= 0, or `(n,)`. Absolute weight.

    Example:

    >>> from clel_tf.samplers import energies
    >>> three = energies.Conditional(np.ones(64), ratio=2.0)
    >>> float(three.ratio)
    2.0
    """

    def value(self, seen, rows):
        return -self.weight(seen, rows) * self.cosine(seen, rows)

    def __invert__(self):
        return Avoid(self.latents, self.ratio, self.beta)
