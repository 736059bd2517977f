import functools

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from clel_tf import random
from clel_tf.backend import require_tensorflow
from clel_tf.data.dequantize import dequantize
from clel_tf.models.chain_sampling import ChainSampling
from clel_tf.models.common import check_images
from clel_tf.models.common import graph
from clel_tf.models.ood_detection import OODDetection


class JointEnergyModel(ChainSampling, OODDetection, keras.Model):
    """Energies, samples, latents and scores of a joint energy model.

    The half of `CLEL` that needs no training state. Whoever derives from it
    sets `energy_network`, `ema_energy_network`, `ema_encoder` (None where there
    are no latents), `sampler`, `augmentation`, `chain_augmentation` and its
    probability, `beta`, `energy_scale`, `ood_score`, `levels` and
    `image_shape`.
    """

    def __init__(self, **kwargs):
        require_tensorflow(type(self).__name__)
        super().__init__(**kwargs)
        self._compiled_latents = graph(self.unit_latents)
        self._compiled_latents_of_view = graph(self._latents_of_view)
        self._compiled_energy_latents = graph(self._energy_latents)

    def call(self, images, training=False):
        """Marginal energies of images: of the moving average, or if training
        of the live network."""
        network = self.energy_network if training else self.ema_energy_network
        images = dequantize(images, self.levels)
        return half_square(network(images, training=training)[0])

    def energy(self, images, latents=None, network=None, beta=None):
        """Energy of float images, marginal or joint with latents.

        Args:
            images: float32 tensor of shape `(n, height, width, channels)`.
            latents: None for `E(x)`, or unit vectors `(n, d)` for `E(x, z)`.
            network: energy network or its `inference_function`; defaults to the
                moving average.
            beta: weight of the latents; defaults to the model's.

        Returns:
            float32 tensor of shape `(n,)`.
        """
        network = network or self.ema_energy_network
        features, projected = network(images, training=False)
        energies = half_square(features)
        if latents is None:
            return energies
        cosines = tf.reduce_sum(unit(projected) * latents, axis=-1)
        return energies - (self.beta if beta is None else beta) * cosines

    def measure_energy_scale(self, images: ArrayLike) -> float:
        """Sets the energy's own scale, of which guidance is a multiple.

        Training keeps it up to date by itself; models of other networks have
        to be told.

        Args:
            images: uint8 or float array `(n, height, width, channels)`, of the
                data.

        Returns:
            float, the mean of their marginal energies.
        """
        images = check_images(images, self.image_shape, self.levels)
        self.energy_scale.assign(np.mean(self.predict(images, verbose=0)))
        return self.known_energy_scale()

    def known_energy_scale(self) -> float:
        """The energy's own scale as a float; 0 where it is not known."""
        with tf.init_scope():
            return float(keras.ops.convert_to_numpy(self.energy_scale))

    def latents(
        self,
        images: ArrayLike,
        batch_size: int = 256,
        views: int = 0,
        seed: int = 0,
    ) -> np.ndarray:
        """The encoder's unit latents of images.

        Args:
            images: uint8 or float array `(n, height, width, channels)`.
            batch_size: int. Images at a time.
            views: int. Augmented views over whose latents the mean is taken; 0
                for the images as they are. They differ with `batch_size`.
            seed: int. Seed of the views.

        Returns:
            float32 NumPy array `(n, d)`.

        Raises:
            ValueError: if the model has no encoder.
        """
        self.check_latents()
        if not isinstance(views, int) or views < 0:
            raise ValueError(
                f"Expected `views` an int of at least 0; received: {views!r}."
            )
        if not views:
            return self._batched(
                lambda x, _: self._compiled_latents(x), images, batch_size
            )
        keys = random.fold_in(random.as_key(seed), tf.range(views))
        total = sum(
            self._batched(
                functools.partial(self._latents_of_numbered, key),
                images,
                batch_size,
            )
            for key in keys
        )
        return total / np.linalg.norm(total, axis=-1, keepdims=True)

    def energy_latents(
        self, images: ArrayLike, batch_size: int = 256
    ) -> np.ndarray:
        """The energy network's unit latents, `g(f(x)) / |g(f(x))|`.

        Args:
            images: uint8 or float array `(n, height, width, channels)`.
            batch_size: int. Images at a time.

        Returns:
            float32 NumPy array `(n, d)`.

        Raises:
            ValueError: if the model has no encoder, of which they learn.
        """
        self.check_latents()
        return self._batched(
            lambda x, _: self._compiled_energy_latents(x), images, batch_size
        )

    def check_latents(self):
        """Raises `ValueError` unless the model has latents."""
        if self.ema_encoder is None:
            raise ValueError(
                "Expected a model with an encoder, for its latents; received "
                "one that was made without (`encoder=None`)."
            )

    def unit_latents(self, images):
        """The graph of `latents`: float images to unit latents.

        Args:
            images: float32 tensor of shape `(n, height, width, channels)`.

        Returns:
            float32 tensor `(n, d)`.
        """
        self.check_latents()
        return unit(self.ema_encoder(images, training=False))

    def _latents_of_numbered(self, key, images, first):
        # A key for each batch: the layer numbers its images from 0.
        key = random.fold_in(key, first)
        return self._compiled_latents_of_view(images, key)

    def _latents_of_view(self, images, key):
        return self.unit_latents(self.augmentation(images, seed=key))

    def _energy_latents(self, images):
        return unit(self.ema_energy_network(images, training=False)[1])

    def _batched(self, fn, images, batch_size):
        """Applies a function of images, and of the first one's number."""
        images = check_images(images, self.image_shape, self.levels)
        chunks = [
            fn(dequantize(images[i : i + batch_size], self.levels), i).numpy()
            for i in range(0, len(images), batch_size)
        ]
        return np.concatenate(chunks)


def half_square(features):
    """The marginal energy of features: `|f|**2 / 2`, shape `(n,)`."""
    return 0.5 * tf.reduce_sum(tf.square(features), axis=-1)


def unit(vectors):
    """Vectors divided by their lengths, in float32."""
    return keras.ops.normalize(keras.ops.cast(vectors, "float32"), axis=-1)
