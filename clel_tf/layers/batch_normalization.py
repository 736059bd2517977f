import keras
from keras import ops


@keras.saving.register_keras_serializable(package="clel_tf")
class BatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation with PyTorch's running variance and constants.

        running variance <- momentum * running variance
                            + (1 - momentum) * n / (n - 1) * variance(batch)

    over the `n` values of a channel. Training divides by the batch's own
    (biased) variance, as ever; it is the running one, for inference, that
    PyTorch keeps unbiased and Keras does not. It matters where `n` is small:
    behind a pooling, `n` is the number of images.

    Args:
        momentum: float. Defaults to 0.9, which PyTorch calls 0.1.
        epsilon: float. Defaults to 1e-5.
        **kwargs: see `keras.layers.BatchNormalization`; `renorm` and
            `synchronized` are not supported.

    Raises:
        ValueError: if `renorm` or `synchronized` is asked for, or inputs have a
            mask.

    Example:

    >>> layer = clel_tf.layers.BatchNormalization(momentum=0.0)
    >>> outputs = layer(np.array([[1.0], [3.0]], "float32"), training=True)
    >>> layer.moving_variance.numpy()
    array([2.], dtype=float32)

    Reference:
        [Ioffe, Szegedy: Batch Normalization, ICML
        2015](https://arxiv.org/abs/1502.03167), Algorithm 2
    """

    def __init__(self, momentum=0.9, epsilon=1e-5, **kwargs):
        for name in ("renorm", "synchronized"):
            if kwargs.get(name):
                raise ValueError(
                    f"Expected `{name}` to be False; received: True."
                )
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)

    def call(self, inputs, training=None, mask=None):
        if mask is not None:
            raise ValueError("Expected inputs without a mask; received one.")
        if not (training and self.trainable):
            return super().call(inputs, training=training)
        kept = self.momentum * ops.convert_to_tensor(self.moving_variance)
        outputs = super().call(inputs, training=True)
        shape = ops.shape(inputs)
        n = ops.cast(
            ops.prod([shape[i] for i in self._reduction_axes]), "float32"
        )
        added = self.moving_variance - kept
        self.moving_variance.assign(
            kept + added * (n / ops.maximum(n - 1.0, 1.0))
        )
        return outputs
