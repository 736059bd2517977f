"""CLEL as its authors' code trains and samples it, for comparisons only."""

import keras
import tensorflow as tf

from clel_tf import random
from clel_tf.models import CLEL
from clel_tf.models.common import spectral_layers
from clel_tf.models.joint_energy_model import half_square


@keras.saving.register_keras_serializable(package="clel_tf_benchmarks")
class ReferenceSpectralNorm(CLEL):
    """`CLEL` with the published code's spectral normalisation.

    It iterates at every forward pass of a training chain, so the energy drifts
    while it is sampled; and the averaged energy network divides by the live
    network's singular vectors.

    Args:
        **kwargs: of `clel_tf.models.CLEL`.
    """

    def update_moving_averages(self):
        super().update_moving_averages()
        pairs = zip(
            spectral_layers(self.energy_network),
            spectral_layers(self.ema_energy_network),
        )
        for live, averaged in pairs:
            averaged.u.assign(live.u.value)
            averaged.v.assign(live.v.value)
            averaged.refresh()

    def _move(self, images, keys, ages):
        network = self.energy_network
        return self.sampler.run(
            lambda x: half_square(network(x, training=True)[0]), images, keys
        )


@keras.saving.register_keras_serializable(package="clel_tf_benchmarks")
class ReferenceCLEL(ReferenceSpectralNorm):
    """`CLEL` with behaviours of the published code that the library mends.

    - Spectral normalisation is `ReferenceSpectralNorm`'s.
    - Chains just born are augmented like all others.
    - `sample_rounds` augments and restarts chains to the last round, so fresh
      samples carry the augmentation.

    `SGLD(gradient_clip=100.0)` and `ReplayBuffer(storage="float32")` are its
    clip, which never binds, and its buffer. Not imitated: singular vectors that
    start from 15 iterations, a second iteration a step for a forward pass of
    its own for the chains, averages taken at the start of an iteration, one
    order of the jitter for both views, dropped last batches, and evaluation.

    Args:
        **kwargs: of `clel_tf.models.CLEL`.
    """

    def sample_rounds(self, n, rounds=10, seed=0):
        """Draws samples as the published evaluation does.

        Args:
            n: int. Number of images.
            rounds: int. Rounds of the sampler's `num_steps` steps.
            seed: int.

        Returns:
            float32 NumPy array `(n, height, width, channels)`, in [0, 1].
        """
        key = random.as_key(seed)
        rows = random.fold_in(random.fold_in(key, 0), tf.range(n))
        images = random.uniform(rows, self.image_shape)
        move = tf.function(self._round, autograph=False)
        for index in range(1, rounds + 1):
            images = move(images, random.fold_in(key, index))
        return images.numpy()

    def _transition(self, chains, keys, rows):
        grown = chains._replace(ages=tf.ones_like(chains.ages))
        return super()._transition(grown, keys, rows)

    def _round(self, images, key):
        rows = tf.range(images.shape[0])
        noise, choice, chain = (
            random.fold_in(random.fold_in(key, i), rows) for i in range(3)
        )
        probability = self.replay_buffer.reinitialize_probability
        reborn = random.uniform(choice) < probability
        images = tf.where(
            reborn[:, tf.newaxis, tf.newaxis, tf.newaxis],
            random.uniform(noise, self.image_shape),
            images,
        )
        images = self.chain_augmentation(images, seed=random.fold_in(key, 3))
        return self.sampler.run(self.energy, images, chain)[0]
