import numpy as np
import tensorflow as tf

from clel_tf.samplers.energies.guidance import Guidance
from clel_tf.samplers.energies.term import check_at_least

# In multiples of the energy's own pull: on digits, more costs variety and less
# classes (docs/steering.md).
DEFAULT_RATIO = 0.2
# Of guidance while chains are candidates; 10 to 30 do as well on digits.
_LEAD = 16.0


class LatentGuidance(Guidance):
    """Base of the terms in the cosine of an image's latent and a given one.

    Their weight is `beta`, absolute, or `ratio`, by which the guidance's
    gradient weighs against the energy's own: `ratio = beta / (2 E)`, with the
    usual marginal energy of data for `E` (`CLEL.energy_scale`).

    Args:
        latents: float array `(d,)`, or `(n, d)` for one a row; they are divided
            by their lengths.
        ratio: float >= 0, or `(n,)`.
        beta: float >= 0, or `(n,)`.
        **scalars: further tensors.
    """

    ranks = {"latents": 1, "ratio": 0, "beta": 0}
    latents: np.ndarray | tf.Tensor
    ratio: np.ndarray | tf.Tensor
    beta: np.ndarray | tf.Tensor
    leads = True

    def __init__(self, latents=None, ratio=None, beta=None, **scalars):
        if ratio is None:
            ratio = DEFAULT_RATIO if beta is None else 0.0
        beta = 0.0 if beta is None else beta
        super().__init__(latents=latents, ratio=ratio, beta=beta, **scalars)

    def validate(self):
        check_at_least("ratio", self.ratio, 0)
        check_at_least("beta", self.beta, 0)

    def check(self, setting):
        super().check(setting)
        if setting.latent_dim is None:
            raise ValueError(
                "Expected a model with an encoder, for guidance by latents; "
                "received one that was made without (`encoder=None`)."
            )
        dimension = self.latents.shape[-1]
        if dimension != setting.latent_dim:
            raise ValueError(
                f"Expected latents of dimension {setting.latent_dim}; "
                f"received: {dimension}."
            )
        if self._is_relative() and not setting.energy_scale > 0:
            raise ValueError(
                "Expected `beta`, as the model does not know its energy's "
                "scale, of which `ratio` is a multiple: it learns it in "
                "training, or by `measure_energy_scale`."
            )

    def rows(self, keys, setting=None):
        own, terms = super().rows(keys, setting)
        if setting is None and self._is_relative():
            raise ValueError(
                "Expected `beta`, or a `setting` with the energy's scale, of "
                "which `ratio` is a multiple; received neither."
            )
        scale = setting.energy_scale if setting else 0.0
        weight = own.pop("beta") + 2.0 * scale * own.pop("ratio")
        return {**own, "weight": weight}, terms

    def _is_relative(self):
        return not tf.is_tensor(self.ratio) and np.any(self.ratio > 0)

    def _array(self, name, value):
        value = super()._array(name, value)
        if name != "latents" or not isinstance(value, np.ndarray):
            return value
        norms = np.linalg.norm(value, axis=-1, keepdims=True)
        if not np.all(norms > 0):
            raise ValueError("Expected `latents` without zero vectors.")
        return value / norms

    def cosine(self, seen, rows):
        return tf.reduce_sum(seen.latents * rows[0]["latents"], axis=-1)

    def weight(self, seen, rows):
        return rows[0]["weight"] * (_LEAD if seen.leading else 1.0)
