import math

import keras
import numpy as np
import tensorflow as tf

from clel_tf.ood.latent_neighbors import LatentNeighbors
from clel_tf.ood.marginal_energy import MarginalEnergy


@keras.saving.register_keras_serializable(package="clel_tf")
class NeighborEnergy(LatentNeighbors):
    """The energy, and the distance to the nearest training images' latents.

        score(x) = E(x) / e + ratio (1 - cos(z, z_k)),   e = mean of E(x_i)

    over training images x_i, of which z_k is the latent that is the k-th in
    similarity to z. The energy tells what no image of the data looks like, the
    latents what is made of the data's parts but is none of its kinds. One pass
    of the energy network gives both.

    Args:
        ratio: float >= 0. Weight of the latents, against the usual energy. On
            digits AUROC was highest from 3 to 10, little below from 1 to 30.
        k: see `LatentNeighbors`.
        bank_shape: see `LatentNeighbors`.

    Raises:
        ValueError: if an argument is out of its range; by `adapt`, if there
            are fewer than `k` images.

    Example:

    >>> model = clel_tf.models.CLEL.from_preset("digits")
    >>> images = clel_tf.data.load("digits").x_train[:64]
    >>> score = clel_tf.ood.NeighborEnergy()
    >>> score.adapt(model, images)
    >>> model.score(images[:4], score=score).shape
    (4,)
    """

    learned = ("bank", "usual_energy")

    def __init__(self, ratio=3.0, k=5, bank_shape=None, **kwargs):
        if not 0 <= ratio < math.inf:
            raise ValueError(
                "Expected `ratio` to be at least 0 and finite; received: "
                f"{ratio!r}."
            )
        super().__init__(k, "energy_network", **kwargs)
        self.ratio = float(ratio)
        self.usual_energy = self.add_learned("usual_energy", ())
        # Last, as `adapt` makes it: weights are loaded in their order.
        if bank_shape is not None:
            self._make_bank(bank_shape)

    def adapt(self, model, images):
        super().adapt(model, images)
        energies = model.score(images, score=MarginalEnergy())
        self.usual_energy.assign(np.mean(energies))

    def score_rows(self, model, images):
        self.check_adapted()
        features, outputs = model.ema_energy_network(images, training=False)
        energies = 0.5 * tf.reduce_sum(tf.square(features), axis=-1)
        distances = self.distances(outputs)
        return energies / self.usual_energy + self.ratio * distances

    def get_config(self):
        config = {**super().get_config(), "ratio": self.ratio}
        del config["network"]
        return config
