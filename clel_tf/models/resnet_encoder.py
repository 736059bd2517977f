import keras

from clel_tf.layers.batch_normalization import BatchNormalization
from clel_tf.models.common import check_image_shape
from clel_tf.models.common import check_stages
from clel_tf.models.common import normalize
from clel_tf.models.common import seed_stream
from clel_tf.models.precision import resolve_dtype

# Blocks in each stage of the published networks.
DEPTHS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
FIRST_BOTTLENECK = 50
_EXPANSION = 4  # of a bottleneck's last convolution


@keras.saving.register_keras_serializable(package="clel_tf")
class ResNetEncoder(keras.Model):
    """Residual encoder with a projection head, as SimCLR trains it.

        h(x) = Dense(relu(BN(Dense(pool(stages(stem((x - mean) / std)))))))

    Residual blocks with batch normalisation, of two 3x3 convolutions or, from
    ResNet-50 on, of a 1x1, a 3x3 and a 1x1; every stage but the first halves
    the image. No pooling follows the stem, as suits small images. The embedding
    is not normalised: CLEL's latent variable is `h(x) / |h(x)|`.

    Weights begin as in torchvision: convolutions normal by fan out, the last
    scale of each block 0; the 3x3 stem and the head as PyTorch's layers do,
    uniform within `1 / sqrt(fan_in)`.

    Args:
        image_shape: tuple of ints `(height, width, channels)`.
        widths: tuple of ints. Channels of each stage (a bottleneck's inner
            ones; its output has 4 times as many).
        depths: tuple of ints, the blocks in each stage, or 18, 34, 50, 101 or
            152 for those of the ResNet of that depth.
        stem_size: int. 3, for a 3x3 convolution that keeps the resolution, or
            7, for ImageNet's 7x7 one that halves it.
        head_width: int. Hidden width of the projection head.
        latent_dim: int. Dimension of the embedding.
        mean: float or tuple of floats, one a channel. Subtracted from images.
        std: float or tuple of floats, one a channel. Divides images.
        synchronized: bool. Whether batch normalisation takes the statistics of
            the images of all replicas, as one device with all of them would, or
            of its own replica's only. On one device it means nothing.
        seed: int or None. Seed of the initial weights.
        dtype: Keras dtype policy of all sublayers, or "auto" (see
            `resolve_dtype`). Images are normalised, and the embedding given, in
            float32 under any policy.
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
        2016](https://arxiv.org/abs/1512.03385)
    """

    def __init__(
        self,
        image_shape,
        widths=(64, 128, 256, 512),
        depths=18,
        stem_size=3,
        head_width=2048,
        latent_dim=128,
        mean=0.5,
        std=0.5,
        synchronized=True,
        seed=None,
        dtype=None,
        name=None,
    ):
        block, blocks = _blocks_of(depths)
        check_stages(widths, blocks)
        if stem_size not in (3, 7):
            raise ValueError(
                f"Expected `stem_size` to be 3 or 7; received: {stem_size!r}."
            )
        image_shape = check_image_shape(image_shape, 2 ** (len(widths) - 1))
        self._seeds = seed_stream(seed)
        # Keras refuses it on other backends, which have no replicas.
        on_tensorflow = keras.backend.backend() == "tensorflow"
        self._synchronized = synchronized and on_tensorflow
        self._policy = keras.dtype_policies.get(resolve_dtype(dtype))

        images = keras.Input(image_shape, dtype="float32", name="images")
        x = normalize(images, mean, std)
        x = self._relu(self._stem(x, widths[0], stem_size))
        for stage, (width, count) in enumerate(zip(widths, blocks), 1):
            for index in range(1, count + 1):
                stride = 2 if stage > 1 and index == 1 else 1
                block_name = f"stage{stage}_block{index}"
                x = self._block(x, block(width, stride), block_name)
        x = keras.layers.GlobalAveragePooling2D(dtype=self._policy)(x)
        x = self._dense(x, head_width, False, self._policy, "hidden")
        x = self._relu(self._norm(x, "hidden_norm"))
        embedding = self._dense(x, latent_dim, True, "float32", "embedding")
        super().__init__(inputs=images, outputs=embedding, name=name)

        self.config = {
            "image_shape": list(image_shape),
            "widths": list(widths),
            "depths": depths if isinstance(depths, int) else list(depths),
            "stem_size": stem_size,
            "head_width": head_width,
            "latent_dim": latent_dim,
            "mean": mean,
            "std": std,
            "synchronized": synchronized,
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

    def _norm(self, x, name, gamma="ones"):
        return BatchNormalization(
            gamma_initializer=gamma,
            synchronized=self._synchronized,
            dtype=self._policy,
            name=name,
        )(x)

    def _conv(self, x, width, kernel_size, stride, name, initializer=None):
        padding = "same"
        if stride > 1 and kernel_size > 1:
            # Both sides, as PyTorch does; "same" would pad strided convolutions
            # of even images on one side only.
            padding, border = "valid", kernel_size // 2
            x = keras.layers.ZeroPadding2D(border, dtype=self._policy)(x)
        return keras.layers.Conv2D(
            width,
            kernel_size,
            strides=stride,
            padding=padding,
            use_bias=False,
            kernel_initializer=initializer
            or keras.initializers.VarianceScaling(
                2.0, "fan_out", "untruncated_normal", next(self._seeds)
            ),
            dtype=self._policy,
            name=name,
        )(x)

    def _stem(self, x, width, size):
        stride, initializer = 2, None
        if size == 3:
            stride, initializer = 1, self._uniform(9 * x.shape[-1])
        x = self._conv(x, width, size, stride, "stem_conv", initializer)
        return self._norm(x, "stem_norm")

    def _block(self, x, convolutions, name):
        shortcut, width = x, convolutions[-1][0]
        for index, (filters, kernel_size, stride) in enumerate(convolutions, 1):
            x = self._conv(
                x, filters, kernel_size, stride, f"{name}_conv{index}"
            )
            # A zero scale lets every block begin as its shortcut.
            is_last = index == len(convolutions)
            gamma = "zeros" if is_last else "ones"
            x = self._norm(x, f"{name}_norm{index}", gamma)
            x = x if is_last else self._relu(x)
        stride = max(stride for _, _, stride in convolutions)
        if stride > 1 or shortcut.shape[-1] != width:
            shortcut = self._conv(
                shortcut, width, 1, stride, f"{name}_shortcut_conv"
            )
            shortcut = self._norm(shortcut, f"{name}_shortcut_norm")
        return self._relu(keras.layers.Add(dtype=self._policy)([shortcut, x]))

    def _dense(self, x, width, use_bias, dtype, name):
        fan_in = x.shape[-1]
        return keras.layers.Dense(
            width,
            use_bias=use_bias,
            kernel_initializer=self._uniform(fan_in),
            bias_initializer=self._uniform(fan_in),
            dtype=dtype,
            name=name,
        )(x)

    def _uniform(self, fan_in):
        limit = fan_in**-0.5
        return keras.initializers.RandomUniform(
            -limit, limit, next(self._seeds)
        )


def _blocks_of(depths):
    """The kind of block, and the number of them in each stage."""
    if isinstance(depths, (tuple, list)):
        return _basic, tuple(depths)
    if not isinstance(depths, int) or depths not in DEPTHS:
        raise ValueError(
            "Expected `depths` to be a tuple or one of "
            f"{', '.join(map(str, DEPTHS))}; received: {depths!r}."
        )
    block = _bottleneck if depths >= FIRST_BOTTLENECK else _basic
    return block, DEPTHS[depths]


def _basic(width, stride):
    """The convolutions of a block: (filters, kernel size, stride) of each."""
    return [(width, 3, stride), (width, 3, 1)]


def _bottleneck(width, stride):
    # torchvision's: the stride is the 3x3 convolution's.
    return [(width, 1, 1), (width, 3, stride), (_EXPANSION * width, 1, 1)]
