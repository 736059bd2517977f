from typing import Any

import keras
import tensorflow as tf

from clel_tf.layers.spectral_conv2d import SpectralConv2D
from clel_tf.models.common import activation_layer
from clel_tf.models.common import check_image_shape
from clel_tf.models.common import check_stages
from clel_tf.models.common import normalize
from clel_tf.models.common import seed_stream
from clel_tf.models.precision import resolve_dtype


@keras.saving.register_keras_serializable(package="clel_tf")
class EnergyResNet(keras.Model):
    """Spectrally normalised residual network: features and their latent.

        f = head(pool(stages(stem((x - mean) / std)))),    E(x) = |f|**2 / 2
        g = projection(f)

    Each stage is a row of pre-activation blocks `x + conv(a(conv(a(x))))`, with
    2x2 average pooling between stages; the head and the projection are
    two-layer perceptrons. Every convolution is a `SpectralConv2D`, so with
    `training=False` the network reads its stored normalised kernels.

    Of several towers, each has a stem and stages of its own, and reads the
    images at half the resolution of the one before; the head reads the pooled
    features of all.

    The energy is left to the caller (`samplers`, `CLEL`), so that the same
    features can serve other energies; the latent is not normalised.

    Args:
        image_shape: tuple of ints `(height, width, channels)`.
        widths: tuple of ints. Channels of each stage.
        depths: tuple of ints. Blocks in each stage.
        towers: int. Number of towers. Each stage but the first and each tower
            but the first halves the smallest image that is accepted.
        head_width: int. Hidden width of the head and the projection.
        feature_dim: int. Dimension of `f`.
        latent_dim: int. Dimension of `g`.
        projection: bool. False for no projection, `g = f`, as an ablation: then
            `latent_dim` has to be `feature_dim`.
        mean: float or tuple of floats, one a channel. Subtracted from images.
        std: float or tuple of floats, one a channel. Divides images.
        activation: str. "leaky_relu" (slope 0.2) or a Keras activation.
        dense_stddev: float. Standard deviation of the dense kernels' initial
            normal distribution.
        seed: int or None. Seed of the initial weights.
        dtype: Keras dtype policy of all sublayers, or "auto" (see
            `resolve_dtype`). Images are normalised, and `f` and `g` given, in
            float32 under any policy.
        name: str or None. The model's name.

    Call arguments:
        images: float32 tensor of shape `(batch, *image_shape)`, in [0, 1].

    Returns:
        Tuple `(features, latent)` of float32 tensors, shapes
        `(batch, feature_dim)` and `(batch, latent_dim)`.

    Example:

    >>> network = clel_tf.models.EnergyResNet(
    ...     (8, 8, 1), widths=(16, 32), depths=(1, 1), head_width=32)
    >>> features, latent = network(np.zeros((2, 8, 8, 1), "float32"))
    >>> features.shape
    TensorShape([2, 128])

    Reference:
        [Lee et al.: Guiding Energy-based Models via Contrastive Latent
        Variables, ICLR 2023](https://arxiv.org/abs/2303.03023), table of
        architectures; the defaults are its base network, and `sizes` has all.
    """

    # The paper's networks. At 32x32x3 they have 1,725,056, 6,955,648 and
    # 30,706,816 trainable parameters.
    sizes: dict[str, dict[str, Any]] = {
        "small": {"widths": (64, 64, 128, 128), "depths": (1, 1, 1, 1)},
        "base": {"widths": (128, 128, 256, 256), "depths": (2, 2, 2, 2)},
        "large": {
            "widths": (256, 256, 256, 256),
            "depths": (2, 2, 2, 2),
            "towers": 3,
        },
    }

    def __init__(
        self,
        image_shape,
        widths=(128, 128, 256, 256),
        depths=(2, 2, 2, 2),
        towers=1,
        head_width=2048,
        feature_dim=128,
        latent_dim=128,
        projection=True,
        mean=0.5,
        std=0.5,
        activation="leaky_relu",
        dense_stddev=0.01,
        seed=None,
        dtype=None,
        name=None,
    ):
        check_stages(widths, depths)
        if not projection and latent_dim != feature_dim:
            raise ValueError(
                "Expected `latent_dim` equal to `feature_dim`, of which it is "
                f"without a projection; received: {latent_dim} and "
                f"{feature_dim}."
            )
        if not isinstance(towers, int) or towers < 1:
            raise ValueError(
                f"Expected `towers` to be a positive int; received: {towers!r}."
            )
        image_shape = check_image_shape(
            image_shape, 2 ** (len(widths) + towers - 2)
        )
        self._seeds = seed_stream(seed)
        self._policy = keras.dtype_policies.get(resolve_dtype(dtype))
        self._activation = activation
        self._dense_stddev = dense_stddev

        images = keras.Input(image_shape, dtype="float32", name="images")
        x = normalize(images, mean, std)
        pooled = []
        for tower in range(towers):
            reduced = self._pool(x, 2**tower) if tower else x
            tower_name = f"tower{tower + 1}"
            pooled.append(self._tower(reduced, widths, depths, tower_name))
        x = pooled[0]
        if towers > 1:
            x = keras.layers.Concatenate(dtype=self._policy)(pooled)
        features = self._mlp(x, head_width, feature_dim, True, "features")
        latent = features
        if projection:
            latent = self._mlp(
                features, head_width, latent_dim, False, "latent"
            )
        super().__init__(inputs=images, outputs=(features, latent), name=name)

        self.config = {
            "image_shape": list(image_shape),
            "widths": list(widths),
            "depths": list(depths),
            "towers": towers,
            "head_width": head_width,
            "feature_dim": feature_dim,
            "latent_dim": latent_dim,
            "projection": projection,
            "mean": mean,
            "std": std,
            "activation": activation,
            "dense_stddev": dense_stddev,
            "seed": seed,
        }

    @property
    def spectral_layers(self):
        """The network's `SpectralConv2D` layers, in order."""
        return [x for x in self.layers if isinstance(x, SpectralConv2D)]

    def get_config(self):
        policy = keras.dtype_policies.serialize(self._policy)
        return {**self.config, "name": self.name, "dtype": policy}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)

    @classmethod
    def from_size(cls, size, image_shape, **options):
        """Builds one of the paper's networks.

        Args:
            size: str. "small", "base" or "large" (three towers).
            image_shape: tuple of ints `(height, width, channels)`, from 8x8 on,
                for "large" from 32x32 on.
            **options: further arguments of the class.

        Returns:
            `EnergyResNet`.
        """
        if size not in cls.sizes:
            raise ValueError(
                f"Expected `size` as one of {', '.join(cls.sizes)}; received: "
                f"{size!r}."
            )
        return cls(image_shape, **{**cls.sizes[size], **options})

    def _act(self, x):
        return activation_layer(self._activation, self._policy)(x)

    def _pool(self, x, size):
        return keras.layers.AveragePooling2D(size, dtype=self._policy)(x)

    def _conv(self, x, width, name, kernel_size=3, use_bias=True):
        return SpectralConv2D(
            width,
            kernel_size,
            use_bias,
            seed=next(self._seeds),
            dtype=self._policy,
            name=name,
        )(x)

    def _tower(self, x, widths, depths, name):
        x = self._conv(x, widths[0], f"{name}_stem")
        for stage, (width, depth) in enumerate(zip(widths, depths), 1):
            if stage > 1:
                x = self._pool(x, 2)
            for block in range(1, depth + 1):
                x = self._block(x, width, f"{name}_stage{stage}_block{block}")
        x = self._act(x)
        return keras.layers.GlobalAveragePooling2D(dtype=self._policy)(x)

    def _block(self, x, width, name):
        shortcut = x = _Shared(dtype=self._policy)(x)
        if x.shape[-1] != width:
            shortcut = self._conv(x, width, f"{name}_shortcut", 1, False)
        x = self._conv(self._act(x), width, f"{name}_conv1")
        x = self._conv(self._act(x), width, f"{name}_conv2")
        return keras.layers.Add(dtype=self._policy)([shortcut, x])

    def _dense(self, x, width, use_bias, dtype, name):
        kernel = keras.initializers.RandomNormal(
            0.0, self._dense_stddev, next(self._seeds)
        )
        return keras.layers.Dense(
            width,
            use_bias=use_bias,
            kernel_initializer=kernel,
            dtype=dtype,
            name=name,
        )(x)

    def _mlp(self, x, hidden, width, use_bias, name):
        x = self._dense(x, hidden, use_bias, self._policy, f"{name}_hidden")
        return self._dense(self._act(x), width, use_bias, "float32", name)


@keras.saving.register_keras_serializable(package="clel_tf")
class _Shared(keras.layers.Layer):
    """What an activation and a shortcut both read.

    TensorFlow's graph optimizer fuses a convolution, its bias, a sum and a
    leaky ReLU into one kernel even where something else reads what lies
    between, fails on that ("remapper failed: ... fanout") and then leaves the
    whole graph as it was. An operation of no cost keeps it from trying.
    """

    def call(self, inputs):
        if keras.backend.backend() != "tensorflow":
            return inputs
        return tf.ensure_shape(inputs, inputs.shape)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config()
