from typing import Any

import keras
import tensorflow as tf

from clel_tf.ood.ood_score import OODScore

_NETWORKS = ("encoder", "energy_network")


@keras.saving.register_keras_serializable(package="clel_tf")
class LatentNeighbors(OODScore):
    """The distance to the nearest training images, in the space of latents.

        score(x) = 1 - cos(z, z_k)

    where `z` is the latent of `x` and `z_k` that of the training image which
    is the `k`-th in similarity to it. Training images are their own
    neighbours: calibrate on others.

    Training latents are kept as weights, `4 n d` bytes, and `m` images are
    compared to all of them at a time, in `4 m n` bytes.

    Args:
        k: int >= 1. Which neighbour; larger ones are less subject to outliers
            among the training images.
        network: str. Whose latents: "encoder" for `h(x)`, "energy_network" for
            `g(f(x))`.
        bank_shape: None, or pair of ints `(n, d)`, the number of training
            latents and their dimension: of a score whose weights are about to
            be loaded. `adapt` takes the images' own.

    Raises:
        ValueError: if an argument is out of its range; by `adapt`, if there
            are fewer than `k` images.

    Example:

    >>> model = clel_tf.models.CLEL.from_preset("digits")
    >>> images = clel_tf.data.load("digits").x_train[:64]
    >>> score = clel_tf.ood.LatentNeighbors(k=5)
    >>> score.adapt(model, images)
    >>> model.score(images[:4], score=score).shape
    (4,)

    Reference:
        [Sun et al.: Out-of-Distribution Detection with Deep Nearest
        Neighbors, ICML 2022](https://arxiv.org/abs/2204.06507)
    """

    learned: tuple[str, ...] = ("bank",)

    def __init__(self, k=1, network="encoder", bank_shape=None, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(k, int) or k < 1:
            raise ValueError(
                f"Expected `k` to be a positive int; received: {k!r}."
            )
        if network not in _NETWORKS:
            raise ValueError(
                f"Expected `network` as one of {_NETWORKS}; received: "
                f"{network!r}."
            )
        self.k = k
        self.network = network
        self.bank: Any = None  # a variable, once its shape is known
        if bank_shape is not None:
            self._make_bank(bank_shape)

    def adapt(self, model, images):
        if self.network == "encoder":
            latents = model.latents(images)
        else:
            latents = model.energy_latents(images)
        if len(latents) < self.k:
            raise ValueError(
                f"Expected at least {self.k} training images, as `k` is "
                f"{self.k}; received: {len(latents)}."
            )
        if self.bank is None or tuple(self.bank.shape) != latents.shape:
            self._make_bank(latents.shape)
        self.bank.assign(latents)

    def score_rows(self, model, images):
        self.check_adapted()
        if self.network == "encoder":
            outputs = model.ema_encoder(images, training=False)
        else:
            outputs = model.ema_energy_network(images, training=False)[1]
        return self.distances(outputs)

    def distances(self, outputs):
        """Distances from the bank of the latents that a network puts out."""
        latents = keras.ops.normalize(outputs, axis=-1)
        cosines = tf.matmul(latents, self.bank.value, transpose_b=True)
        return 1.0 - tf.math.top_k(cosines, self.k).values[:, -1]

    def get_config(self):
        shape = None if self.bank is None else list(self.bank.shape)
        return {
            **super().get_config(),
            "k": self.k,
            "network": self.network,
            "bank_shape": shape,
        }

    def _make_bank(self, shape):
        if self.bank is not None:
            del self.bank  # lest it be saved too
        self.bank = self.add_learned("bank", tuple(shape))
        self.version += 1
