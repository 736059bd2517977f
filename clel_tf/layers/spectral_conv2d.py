import keras
from keras import ops


@keras.saving.register_keras_serializable(package="clel_tf")
class SpectralConv2D(keras.layers.Layer):
    """2-D convolution whose kernel is divided by its spectral norm.

        y = conv(x, W / sigma(W)) + b,    sigma(W) = u' W v

    `W` is read as a matrix of shape `(height * width * channels, filters)`, and
    `u`, `v` are its leading singular vectors, followed by power iteration.

    The trainable kernel is the raw `W`. With `training=True` the layer makes
    one power iteration and differentiates through `sigma` (Miyato et al.'s
    reparametrisation; `keras.layers.SpectralNormalization` instead overwrites
    the kernel and treats `sigma` as a constant). Every other call reads the
    stored `normalized_kernel`: nothing iterates, so a Langevin chain sees one
    and the same energy from its first step to its last, and no work is
    repeated.

    Code that changes `kernel`, such as an optimizer, calls `refresh()` after
    it; loading weights does so by itself.

    Args:
        filters: int. Number of output channels.
        kernel_size: int. Height and width of the kernel.
        use_bias: bool. Whether to add a bias.
        kernel_initializer: Keras initializer of `W`. Defaults to an untruncated
            normal of variance `1 / fan_in`.
        seed: int or None. Seed of the default kernel initializer.

    Call arguments:
        inputs: float tensor of shape `(batch, height, width, channels)`.
        training: bool. Normalises the current `W` if true; reads the stored
            normalised kernel if false (the default).

    Input shape: `(batch, height, width, channels)`.

    Output shape: `(batch, height, width, filters)`; zero padding keeps height
    and width.

    Example:

    >>> layer = clel_tf.layers.SpectralConv2D(8)
    >>> layer(np.zeros((2, 16, 16, 3), "float32")).shape
    TensorShape([2, 16, 16, 8])

    Reference:
        [Miyato et al.: Spectral Normalization for Generative Adversarial
        Networks, ICLR 2018](https://arxiv.org/abs/1802.05957)
    """

    def __init__(
        self,
        filters,
        kernel_size=3,
        use_bias=True,
        kernel_initializer=None,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, value in (("filters", filters), ("kernel_size", kernel_size)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"Expected `{name}` to be a positive int; received: "
                    f"{value!r}."
                )
        self.filters = filters
        self.kernel_size = kernel_size
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.seed = seed
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape):
        fan_in = self.kernel_size**2 * input_shape[-1]
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.kernel_size, self.kernel_size, input_shape[-1])
            + (self.filters,),
            initializer=self.kernel_initializer
            or keras.initializers.RandomNormal(0.0, fan_in**-0.5, self.seed),
            autocast=False,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.filters,),
                initializer="zeros",
                autocast=False,
            )
        self.u = self._state("u", (self.filters,))
        self.v = self._state("v", (fan_in,))
        self.normalized_kernel = self._state(
            "normalized_kernel", self.kernel.shape
        )
        # Exact, because power iteration starts slowly: after the reference's
        # 15 iterations, sigma of wide random kernels is up to 5% low.
        matrix = self._matrix()
        gram = ops.matmul(ops.transpose(matrix), matrix)
        u = ops.eigh(gram)[1][:, -1]
        self.u.assign(u)
        self.v.assign(ops.normalize(ops.matmul(matrix, u), axis=-1))
        self.refresh()

    def _state(self, name, shape):
        return self.add_weight(
            name=name,
            shape=shape,
            initializer="zeros",
            trainable=False,
            autocast=False,
        )

    def call(self, inputs, training=False):
        if training:
            self._iterate(1)
            kernel = self.kernel / self.sigma()
            self.normalized_kernel.assign(ops.stop_gradient(kernel))
        else:
            kernel = self.normalized_kernel
        outputs = ops.conv(
            inputs,
            ops.cast(kernel, inputs.dtype),
            padding="same",
            data_format="channels_last",
        )
        return outputs if self.bias is None else _add_bias(outputs, self.bias)

    def sigma(self):
        """The estimate `u' W v` of the spectral norm, a float32 scalar."""
        return ops.sum(ops.matmul(self.v, self._matrix()) * self.u)

    def refresh(self, iterations=0):
        """Stores `W / sigma(W)` in `normalized_kernel`.

        Args:
            iterations: int. Power iterations made before; 0 keeps `u` and `v`.
        """
        self._iterate(iterations)
        self.normalized_kernel.assign(self.kernel / self.sigma())

    def load_own_variables(self, store):
        super().load_own_variables(store)
        self.refresh()

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(
                self.kernel_initializer
            )
            if self.kernel_initializer
            else None,
            "seed": self.seed,
        }

    def _matrix(self):
        return ops.reshape(self.kernel, (-1, self.filters))

    def _iterate(self, count):
        matrix = ops.stop_gradient(self._matrix())
        for _ in range(count):  # in PyTorch's order: u from v, then v from u
            u = ops.normalize(ops.matmul(self.v, matrix), axis=-1)
            self.u.assign(u)
            self.v.assign(ops.normalize(ops.matmul(matrix, u), axis=-1))


if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    def _add_bias(outputs, bias):
        return _sum(outputs, tf.convert_to_tensor(bias))

    @tf.custom_gradient
    def _sum(outputs, bias):
        # TensorFlow fuses this operation, not every sum, with a convolution.
        # Its own gradient it fuses with one of the convolutions whose outputs
        # are added, by chance: no two builds of a network would round alike.
        def gradient(upstream):
            exact = tf.cast(upstream, bias.dtype)
            return upstream, tf.reduce_sum(exact, axis=[0, 1, 2])

        return tf.nn.bias_add(outputs, tf.cast(bias, outputs.dtype)), gradient
else:

    def _add_bias(outputs, bias):
        return outputs + ops.cast(bias, outputs.dtype)
