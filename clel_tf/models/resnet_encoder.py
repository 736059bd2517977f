import keras

from clel_tf.models.common import check_image_shape
from clel_tf.models.common import check_stages
from clel_tf.models.common import normalize
from clel_tf.models.common import seed_stream

_NORMALIZATION = {"momentum": 0.9, "epsilon": 1e-5}  # PyTorch's 0.1 and 1e-5


@keras.saving.register_keras_serializable(package="clel_tf")
class ResNetEncoder(keras.Model):
    """Residual encoder with a projection head, as SimCLR trains it.

        h(x) = Dense(relu(BN(Dense(pool(stages(stem((x - mean) / std)))))))

    Basic blocks of two 3x3 convolutions with batch normalisation; every stage
    but the first halves the image. The stem is a 3x3 convolution without
    pooling, for small images. The embedding is not normalised: CLEL's latent
    variable is `h(x) / |h(x)|`.

    Args:
        image_shape: tuple of ints `(height, width, channels)`.
        widths: tuple of ints. Channels of each stage.
        depths: tuple of ints. Blocks in each stage.
        head_width: int. Hidden width of the projection head.
        latent_dim: int. Dimension of the embedding.
        mean: float or tuple of floats, one a channel. Subtracted from images.
        std: float or tuple of floats, one a channel. Divides images.
        seed: int or None. Seed of the initial weights.
        dtype: Keras dtype policy of all sublayers. Images are normalised, and
            the embedding given, in float32 under any policy.
        name: str or None. The model's name.

    Call arguments:
        images: float32 tensor of shape `(batch, *image_shape)`, in [0, 1].
        training: bool. Whether batch normalisation uses, and follows, the
            statistics of the batch.

    Returns:
        float32 tensor of shape `(batch, latent_dim)`.

    Example:

    >>> encoder = clel_tf.models.ResNetEncoder(
    ...     (8, 8, 1), widths=(16, 32), depths=(1, 1), head_width=32)
    >>> encoder(np.zeros((2, 8, 8, 1), "float32")).shape
    TensorShape([2, 128])

    Reference:
        [He et al.: Deep Residual Learning for Image Recognition, CVPR
        2016](https://arxiv.org/abs/1512.03385); the defaults are ResNet-18.
    """

    def __init__(
        self,
        image_shape,
        widths=(64, 128, 256, 512),
        depths=(2, 2, 2, 2),
        head_width=2048,
        latent_dim=128,
        mean=0.5,
        std=0.5,
        seed=None,
        dtype=None,
        name=None,
    ):
        image_shape = check_image_shape(image_shape, 2 ** (len(widths) - 1))
        check_stages(widths, depths)
        self._seeds = seed_stream(seed)
        self._policy = keras.dtype_policies.get(dtype)

        images = keras.Input(image_shape, dtype="float32", name="images")
        x = normalize(images, mean, std)
        x = self._relu(self._norm(self._conv(x, widths[0])))
        for stage, (width, depth) in enumerate(zip(widths, depths)):
            for block in range(depth):
                stride = 2 if stage and not block else 1
                x = self._block(x, width, stride)
        x = keras.layers.GlobalAveragePooling2D(dtype=self._policy)(x)
        x = self._dense(x, head_width, use_bias=False)
        x = self._relu(self._norm(x))
        embedding = self._dense(x, latent_dim, dtype="float32")
        super().__init__(inputs=images, outputs=embedding, name=name)

        self.config = {
            "image_shape": list(image_shape),
            "widths": list(widths),
            "depths": list(depths),
            "head_width": head_width,
            "latent_dim": latent_dim,
            "mean": mean,
            "std": std,
            "seed": seed,
        }

    def get_config(self):
        policy = keras.dtype_policies.serialize(self._policy)
        return {**self.config, "name": self.name, "dtype": policy}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)

    def _relu(self, x):
        return keras.layers.ReLU(dtype=self._policy)(x)

    def _norm(self, x, gamma="ones"):
        return keras.layers.BatchNormalization(
            gamma_initializer=gamma, dtype=self._policy, **_NORMALIZATION
        )(x)

    def _conv(self, x, width, kernel_size=3, stride=1):
        # Padded on both sides, as PyTorch does; "same" would pad strided
        # convolutions of even images on one side only.
        x = keras.layers.ZeroPadding2D(kernel_size // 2, dtype=self._policy)(x)
        return keras.layers.Conv2D(
            width,
            kernel_size,
            strides=stride,
            use_bias=False,
            kernel_initializer=self._scaled(
                "fan_out", 2.0, "untruncated_normal"
            ),
            dtype=self._policy,
        )(x)

    def _block(self, x, width, stride):
        shortcut = x
        if stride > 1 or x.shape[-1] != width:
            shortcut = self._norm(self._conv(x, width, 1, stride))
        x = self._relu(self._norm(self._conv(x, width, 3, stride)))
        # A zero scale lets every block begin as its shortcut.
        x = self._norm(self._conv(x, width), gamma="zeros")
        x = keras.layers.Add(dtype=self._policy)([shortcut, x])
        return self._relu(x)

    def _dense(self, x, width, use_bias=True, dtype=None):
        return keras.layers.Dense(
            width,
            use_bias=use_bias,
            kernel_initializer=self._scaled("fan_in", 1.0 / 3.0, "uniform"),
            dtype=dtype or self._policy,
        )(x)

    def _scaled(self, mode, scale, distribution):
        return keras.initializers.VarianceScaling(
            scale, mode, distribution, seed=next(self._seeds)
        )
