import keras

from clel_tf.layers.spectral_conv2d import SpectralConv2D
from clel_tf.models.common import activation_layer
from clel_tf.models.common import check_image_shape
from clel_tf.models.common import check_stages
from clel_tf.models.common import normalize
from clel_tf.models.common import seed_stream


@keras.saving.register_keras_serializable(package="clel_tf")
class EnergyResNet(keras.Model):
    """Spectrally normalised residual network: features and their latent.

        f = head(pool(stages(stem((x - mean) / std)))),    E(x) = |f|**2 / 2
        g = projection(f)

    Each stage is a row of pre-activation blocks `x + conv(a(conv(a(x))))`, with
    2x2 average pooling between stages; the head and the projection are
    two-layer perceptrons. Every convolution is a `SpectralConv2D`, so with
    `training=False` the network reads its stored normalised kernels.

    The energy is left to the caller (`samplers`, `CLEL`), so that the same
    features can serve other energies; the latent is not normalised.

    Args:
        image_shape: tuple of ints `(height, width, channels)`.
        widths: tuple of ints. Channels of each stage.
        depths: tuple of ints. Blocks in each stage.
        head_width: int. Hidden width of the head and the projection.
        feature_dim: int. Dimension of `f`.
        latent_dim: int. Dimension of `g`.
        mean: float or tuple of floats, one a channel. Subtracted from images.
        std: float or tuple of floats, one a channel. Divides images.
        activation: str. "leaky_relu" (slope 0.2) or a Keras activation.
        dense_stddev: float. Standard deviation of the dense kernels' initial
            normal distribution.
        seed: int or None. Seed of the initial weights.
        dtype: Keras dtype policy of all sublayers. Images are normalised, and
            `f` and `g` given, in float32 under any policy.
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
        architectures; the defaults are its base network.
    """

    def __init__(
        self,
        image_shape,
        widths=(128, 128, 256, 256),
        depths=(2, 2, 2, 2),
        head_width=2048,
        feature_dim=128,
        latent_dim=128,
        mean=0.5,
        std=0.5,
        activation="leaky_relu",
        dense_stddev=0.01,
        seed=None,
        dtype=None,
        name=None,
    ):
        image_shape = check_image_shape(image_shape, 2 ** (len(widths) - 1))
        check_stages(widths, depths)
        self._seeds = seed_stream(seed)
        self._policy = keras.dtype_policies.get(dtype)
        self._activation = activation
        self._dense_stddev = dense_stddev

        images = keras.Input(image_shape, dtype="float32", name="images")
        x = normalize(images, mean, std)
        x = self._conv(x, widths[0])
        for stage, (width, depth) in enumerate(zip(widths, depths)):
            if stage:
                x = keras.layers.AveragePooling2D(2, dtype=self._policy)(x)
            for _ in range(depth):
                x = self._block(x, width)
        x = keras.layers.GlobalAveragePooling2D(dtype=self._policy)(
            self._act(x)
        )
        features = self._mlp(x, head_width, feature_dim, True, "features")
        latent = self._mlp(features, head_width, latent_dim, False, "latent")
        super().__init__(inputs=images, outputs=(features, latent), name=name)

        self.config = {
            "image_shape": list(image_shape),
            "widths": list(widths),
            "depths": list(depths),
            "head_width": head_width,
            "feature_dim": feature_dim,
            "latent_dim": latent_dim,
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

    def _act(self, x):
        return activation_layer(self._activation, self._policy)(x)

    def _conv(self, x, width, kernel_size=3, use_bias=True):
        return SpectralConv2D(
            width,
            kernel_size,
            use_bias,
            seed=next(self._seeds),
            dtype=self._policy,
        )(x)

    def _block(self, x, width):
        shortcut = x
        if x.shape[-1] != width:
            shortcut = self._conv(x, width, kernel_size=1, use_bias=False)
        x = self._conv(self._act(x), width)
        x = self._conv(self._act(x), width)
        return keras.layers.Add(dtype=self._policy)([shortcut, x])

    def _dense(self, x, width, use_bias, dtype, name=None):
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
        x = self._act(self._dense(x, hidden, use_bias, self._policy))
        return self._dense(x, width, use_bias, "float32", name)
