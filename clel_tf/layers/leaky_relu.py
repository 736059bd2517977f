import keras


@keras.saving.register_keras_serializable(package="clel_tf")
class LeakyReLU(keras.layers.Layer):
    """Leaky ReLU that is differentiated by its output.

        y = x if x > 0 else a x,    dy/dx = 1 if y > 0 else a

    The same numbers as `keras.layers.LeakyReLU`. TensorFlow's own gradient
    reads the input, which has to be kept for it and which therefore can't stay
    inside of one kernel with the convolution before. Elsewhere than on
    TensorFlow it is the backend's leaky ReLU.

    Args:
        negative_slope: float > 0. The slope `a`.

    Call arguments:
        inputs: float tensor of any shape.

    Output shape: that of the inputs.

    Example:

    >>> layer = clel_tf.layers.LeakyReLU(0.5)
    >>> layer(np.array([-2.0, 0.0, 2.0], "float32")).numpy()
    array([-1.,  0.,  2.], dtype=float32)
    """

    def __init__(self, negative_slope=0.2, **kwargs):
        super().__init__(**kwargs)
        # The sign of the output tells that of the input for these only.
        if not negative_slope > 0:
            raise ValueError(
                "Expected `negative_slope` to be positive; received: "
                f"{negative_slope!r}."
            )
        self.negative_slope = negative_slope
        self.supports_masking = True

    def call(self, inputs):
        return _leaky_relu(inputs, self.negative_slope)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "negative_slope": self.negative_slope}


if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    def _leaky_relu(inputs, slope):
        @tf.custom_gradient
        def function(x):
            y = tf.nn.leaky_relu(x, slope)

            def gradient(upstream):
                return tf.raw_ops.LeakyReluGrad(
                    gradients=upstream, features=y, alpha=slope
                )

            return y, gradient

        return function(inputs)
else:

    def _leaky_relu(inputs, slope):
        return keras.ops.leaky_relu(inputs, slope)
