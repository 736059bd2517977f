import keras
import tensorflow as tf
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

    With `synchronized`, mean, variance and `n` are those of all replicas of a
    `tf.distribute` strategy together, and gradients flow between replicas:
    what is normalised does not depend on the number of devices.

    Args:
        momentum: float. Defaults to 0.9, which PyTorch calls 0.1.
        epsilon: float. Defaults to 1e-5.
        **kwargs: see `keras.layers.BatchNormalization`; `renorm` is not
            supported.

    Raises:
        ValueError: if `renorm` is asked for, or inputs have a mask.

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
        if kwargs.get("renorm"):
            raise ValueError("Expected `renorm` to be False; received: True.")
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
        if self._spans_replicas():
            n = tf.distribute.get_replica_context().all_reduce("SUM", n)
        added = self.moving_variance - kept
        self.moving_variance.assign(
            kept + added * (n / ops.maximum(n - 1.0, 1.0))
        )
        return outputs

    def _moments(self, inputs, mask):
        # On one device never as Keras does for several, by E(x**2) - E(x)**2,
        # which loses digits.
        return ops.moments(
            inputs,
            axes=self._reduction_axes,
            synchronized=self._spans_replicas(),
        )

    def _spans_replicas(self):
        if keras.backend.backend() != "tensorflow":
            return False
        context = tf.distribute.get_replica_context()
        together = context is not None and context.num_replicas_in_sync > 1
        return self.synchronized and together
