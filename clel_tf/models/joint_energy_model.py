import keras
import numpy as np
import tensorflow as tf

from clel_tf import random
from clel_tf.data.dequantize import dequantize
from clel_tf.models.common import check_images
from clel_tf.models.inference_function import inference_function
from clel_tf.samplers.compilation import chunk_size
from clel_tf.samplers.compilation import halves_pay
from clel_tf.samplers.compilation import in_halves
from clel_tf.samplers.compilation import resolve_jit_compile
from clel_tf.samplers.compilation import rows_in_chunks


class JointEnergyModel(keras.Model):
    """Energies, samples, latents and scores of a joint energy model.

    The half of `CLEL` that needs no training state. Whoever derives from it
    sets `energy_network`, `ema_energy_network`, `ema_encoder`, `sampler`,
    `beta`, `levels` and `image_shape`.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._compiled_sample = _graph(self.sample_rows)
        self._compiled_latents = _graph(self._latents)
        self._compiled_scores = _graph(self._scores)

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

    def sample(
        self,
        n,
        *,
        latents=None,
        energy=None,
        initial=None,
        num_steps=None,
        seed=0,
        batch_size=None,
    ):
        """Draws images by Langevin dynamics with the averaged energy network.

        Row `i` draws from seed `row_seeds(seed, n)[i]` alone: asking for more
        rows, or another `batch_size`, changes the others by rounding only
        (bfloat16's, where the network computes in it).

        Args:
            n: int. Number of images.
            latents: None, or float array `(n, d)` or `(d,)`: condition on these
                latents, sampling `E(x, z)` instead of `E(x)`.
            energy: None, or a function of float32 images `(n, ...)` giving
                energies `(n,)`, sampled instead of the model's own; it is given
                `batch_size` images at a time, or up to 256.
            initial: None for uniform noise, or images `(n, ...)` to start from.
            num_steps: int or None for the sampler's `sample_steps`.
            seed: int.
            batch_size: int or None. Images at a time; None picks what the
                device is fast at.

        Returns:
            float32 NumPy array `(n, height, width, channels)`, in [0, 1].
        """
        steps = self.sampler.sample_steps if num_steps is None else num_steps
        _check_request(n, latents, energy, steps, batch_size)
        latents = self._check_latents(latents, n)
        if initial is not None:
            initial = check_images(initial, self.image_shape, self.levels, n)
            initial = np.asarray(dequantize(initial, self.levels))
        seeds = random.row_seeds(seed, n)
        halves = halves_pay(self.sampler.jit_compile)
        images = [
            self._compiled_sample(
                tf.constant(seeds[rows]),
                tf.constant(steps),
                None if initial is None else initial[rows],
                None if latents is None else latents[rows],
                energy,
                self.sampler,
                self.beta,
                # Of one row, both halves would be the row itself.
                halved=halves and len(rows) > 1,
            ).numpy()
            for rows in self._chunks(n, batch_size, energy)
        ]
        return np.concatenate(images)[:n]

    def _chunks(self, n, batch_size, energy):
        if energy is not None:  # which rows it is of, it may know itself
            return rows_in_chunks(n, batch_size or 256)
        size = batch_size or chunk_size(self.image_shape)
        padded = resolve_jit_compile(self.sampler.jit_compile)
        return rows_in_chunks(n, size, padded)

    def sample_rows(
        self,
        seeds,
        num_steps,
        initial=None,
        latents=None,
        energy=None,
        sampler=None,
        beta=None,
        halved=False,
    ):
        """The graph of `sample`: row seeds `(n,)` int64 to images `(n, ...)`.

        What an exported sampler serves; arguments are tensors as in `sample`,
        `sampler` an `SGLD`, `beta` a weight other than the model's own, and
        `halved` whether two halves of the rows run at the same time (see
        `clel_tf.samplers.in_halves`).
        """
        keys = random.as_key(seeds)
        if initial is None:
            initial = random.uniform(random.fold_in(keys, 0), self.image_shape)
        sampler = sampler or self.sampler
        keys = random.fold_in(keys, 1)
        if energy is not None:
            return sampler.run(energy, initial, keys, num_steps)[0]
        network = inference_function(self.ema_energy_network)
        return self._run_chains(
            network, sampler, halved, initial, keys, latents, num_steps, beta
        )[0]

    def _run_chains(
        self,
        network,
        sampler,
        halved,
        initial,
        keys,
        latents=None,
        num_steps=None,
        beta=None,
    ):
        def run(initial, keys, latents):
            return sampler.run(
                lambda x: self.energy(x, latents, network, beta),
                initial,
                keys,
                num_steps,
            )

        rows = initial, keys, latents
        return in_halves(run, *rows) if halved else run(*rows)

    def latents(self, images, batch_size=256):
        """The encoder's unit latents of images, without augmentation.

        Args:
            images: uint8 or float array `(n, height, width, channels)`.
            batch_size: int. Images at a time.

        Returns:
            float32 NumPy array `(n, d)`.
        """
        return self._batched(self._compiled_latents, images, batch_size)

    def score(self, images, batch_size=256):
        """Out-of-distribution score: the joint energy with the own latent.

            score(x) = |f(x)|**2 / 2 - beta cos(g(f(x)), h(x))

        Args:
            images: uint8 or float array `(n, height, width, channels)`.
            batch_size: int. Images at a time.

        Returns:
            float32 NumPy array `(n,)`; lower is more in-distribution.
        """
        return self._batched(
            self._compiled_scores, images, batch_size, self.beta
        )

    def _latents(self, images):
        return unit(self.ema_encoder(images, training=False))

    def _scores(self, images, beta):
        return self.energy(images, self._latents(images), beta=beta)

    def _batched(self, fn, images, batch_size, *args):
        images = check_images(images, self.image_shape, self.levels)
        chunks = [
            fn(dequantize(chunk, self.levels), *args).numpy()
            for chunk in np.split(
                images, range(batch_size, len(images), batch_size)
            )
        ]
        return np.concatenate(chunks)

    def _check_latents(self, latents, n):
        if latents is None:
            return None
        latents = np.asarray(latents, "float32")
        dimension = self.encoder.output_shape[-1]
        if latents.shape not in ((dimension,), (n, dimension)):
            raise ValueError(
                f"Expected `latents` of shape ({n}, {dimension}) or "
                f"({dimension},); received: {latents.shape}."
            )
        norms = np.linalg.norm(latents, axis=-1, keepdims=True)
        if not np.all(norms > 0):
            raise ValueError("Expected `latents` without zero vectors.")
        return np.broadcast_to(latents / norms, (n, dimension))


def _check_request(n, latents, energy, steps, batch_size):
    batch_size = 1 if batch_size is None else batch_size
    for name, size in (("n", n), ("batch_size", batch_size)):
        if not isinstance(size, (int, np.integer)) or size < 1:
            raise ValueError(
                f"Expected `{name}` to be a positive int; received: {size!r}."
            )
    if latents is not None and energy is not None:
        raise ValueError(
            "Expected `latents` or `energy`, of which one defines the energy "
            "to sample; received both."
        )
    if steps < 0:
        raise ValueError(
            f"Expected `num_steps` to be at least 0; received: {steps!r}."
        )


def half_square(features):
    """The marginal energy of features: `|f|**2 / 2`, shape `(n,)`."""
    return 0.5 * tf.reduce_sum(tf.square(features), axis=-1)


def unit(vectors):
    """Vectors divided by their lengths."""
    return keras.ops.normalize(vectors, axis=-1)


def _graph(function):
    return tf.function(function, autograph=False, reduce_retracing=True)
