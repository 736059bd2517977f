import math

import keras
import tensorflow as tf

from clel_tf import losses
from clel_tf import random
from clel_tf.models.common import seed_stream
from clel_tf.models.joint_energy_model import unit
from clel_tf.teachers.checks import check_count
from clel_tf.teachers.teacher import Teacher

_HIDDEN = 0.5  # what the encoder sees of a hidden pixel


@keras.saving.register_keras_serializable(package="clel_tf")
class Masked(Teacher):
    """Reconstruction of hidden patches from the latent; no negatives.

        loss = sum m (t(x) - d(z))**2 / sum m,    z = h(v) / |h(v)|,
        v = (1 - m) t(x) + m / 2

    In every view the same number of square patches is hidden, in grey; the
    decoder `d`, a perceptron of two layers, has to draw them from the unit
    latent alone, so that all it knows is what guides the energy. Targets of the
    energy network are of views with nothing hidden.

    Args:
        mask_ratio: float in (0, 1). Share of the patches that are hidden,
            rounded to a whole number of at least 1 and less than all.
        patch_size: int >= 1. A patch's side in pixels, a divisor of the
            images'.
        decoder_width: int. Hidden width of the decoder.
        seed: int or None. Seed of the decoder's initial weights.
        **kwargs: see `Teacher`.

    Raises:
        ValueError: if an argument is out of its range; by `CLEL`, if the images
            cannot be cut into two patches or more.

    Example:

    >>> clel_tf.teachers.Masked(mask_ratio=0.5, patch_size=2).loss_name
    'masked_reconstruction'

    Reference:
        [He et al.: Masked Autoencoders Are Scalable Vision Learners, CVPR
        2022](https://arxiv.org/abs/2111.06377)
    """

    loss_name = "masked_reconstruction"

    def __init__(
        self,
        mask_ratio=0.5,
        patch_size=2,
        decoder_width=256,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not 0 < mask_ratio < 1:
            raise ValueError(
                "Expected `mask_ratio` to be in (0, 1); received: "
                f"{mask_ratio!r}."
            )
        check_count("patch_size", patch_size)
        check_count("decoder_width", decoder_width)
        self.mask_ratio = mask_ratio
        self.patch_size = patch_size
        self.decoder_width = decoder_width
        self.seed = seed

    def build_for(self, encoder):
        super().build_for(encoder)
        shape, seeds = encoder.input_shape[1:], seed_stream(self.seed)
        self._grid = self._patches(shape)
        layers = [
            keras.Input((encoder.output_shape[-1],)),
            _dense(self.decoder_width, seeds, activation="relu"),
            _dense(math.prod(shape), seeds),
            keras.layers.Reshape(shape, dtype="float32"),
        ]
        self.decoder = keras.Sequential(layers, name="decoder")

    def loss(self, encoder, views, *, key=None, training=True, **_):
        view, _ = views
        mask = self.mask(random.fold_in(key, tf.range(tf.shape(view)[0])))
        seen = tf.where(mask > 0.0, _HIDDEN, view)
        latents = unit(encoder(seen, training=training))
        drawn = self.decoder(latents, training=training)
        return losses.masked_reconstruction(view, drawn, mask)

    def mask(self, keys):
        """Draws which pixels are hidden.

        Args:
            keys: uint64 tensor `(n,)`, a key an image.

        Returns:
            float32 tensor `(n, height, width, 1)`, 1 where they are.
        """
        count = math.prod(self._grid)
        hidden = min(max(round(self.mask_ratio * count), 1), count - 1)
        # Those of the largest draws: as many in every image.
        rows = tf.math.top_k(random.uniform(keys, (count,)), hidden).indices
        mask = tf.reduce_sum(tf.one_hot(rows, count), axis=1)
        mask = tf.reshape(mask, [-1, *self._grid, 1])
        for axis in (1, 2):
            mask = tf.repeat(mask, self.patch_size, axis=axis)
        return mask

    def get_config(self):
        return {
            **super().get_config(),
            "mask_ratio": self.mask_ratio,
            "patch_size": self.patch_size,
            "decoder_width": self.decoder_width,
            "seed": self.seed,
        }

    def _patches(self, shape):
        """Numbers of patches, from top to bottom and from left to right."""
        grid = [side // self.patch_size for side in shape[:2]]
        if math.prod(grid) < 2 or any(s % self.patch_size for s in shape[:2]):
            raise ValueError(
                f"Expected images of whole patches of `patch_size` "
                f"{self.patch_size}, at least two; received: images of "
                f"{shape[0]}x{shape[1]}."
            )
        return grid


def _dense(width, seeds, activation=None):
    return keras.layers.Dense(
        width,
        activation=activation,
        kernel_initializer=keras.initializers.GlorotUniform(next(seeds)),
        dtype="float32",
    )
