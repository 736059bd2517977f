import keras
from keras import ops


@keras.saving.register_keras_serializable(package="clel_tf")
class Adam(keras.optimizers.Adam):
    """Adam with epsilon where its paper and PyTorch have it.

        w <- w - rate * m' / (sqrt(v') + epsilon),
        m' = m / (1 - beta_1**t),    v' = v / (1 - beta_2**t)

    `keras.optimizers.Adam` adds epsilon to `sqrt(v)` instead, before the bias
    is corrected, which in early steps makes it larger by
    `1 / sqrt(1 - beta_2**t)`: 30 times at the first step. Gradients of energies
    are small enough for that to matter.

    Args:
        learning_rate: float or schedule. Defaults to 0.001.
        epsilon: float. Defaults to 1e-8, PyTorch's.
        **kwargs: see `keras.optimizers.Adam`.

    Raises:
        ValueError: if `amsgrad` is asked for.

    Example:

    >>> w = keras.Variable([1.0])
    >>> clel_tf.optimizers.Adam(0.1, epsilon=1.0).apply([np.ones(1)], [w])
    >>> round(float(w[0]), 4)
    0.95

    Reference:
        [Kingma, Ba: Adam: A Method for Stochastic Optimization, ICLR
        2015](https://arxiv.org/abs/1412.6980), Algorithm 1
    """

    def __init__(self, learning_rate=0.001, epsilon=1e-8, **kwargs):
        if kwargs.get("amsgrad"):
            raise ValueError("Expected `amsgrad` to be False; received: True.")
        super().__init__(learning_rate, epsilon=epsilon, **kwargs)

    def update_step(self, gradient, variable, learning_rate):
        dtype = variable.dtype
        index = self._get_variable_index(variable)
        m, v = self._momentums[index], self._velocities[index]
        gradient = ops.cast(gradient, dtype)
        self.assign_add(m, (gradient - m) * (1 - self.beta_1))
        self.assign_add(v, (ops.square(gradient) - v) * (1 - self.beta_2))
        step = ops.cast(self.iterations + 1, dtype)
        unbiased_m = m / (1 - ops.power(ops.cast(self.beta_1, dtype), step))
        unbiased_v = v / (1 - ops.power(ops.cast(self.beta_2, dtype), step))
        change = unbiased_m / (ops.sqrt(unbiased_v) + self.epsilon)
        self.assign_sub(variable, ops.cast(learning_rate, dtype) * change)
