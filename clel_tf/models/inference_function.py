import keras
import tensorflow as tf

from clel_tf.backend import require_tensorflow
from clel_tf.layers.spectral_conv2d import SpectralConv2D
from clel_tf.models.common import flat_layers


def inference_function(network):
    """A network's inference, with its weights read and cast now.

    Called in a loop's body, a network reads its weights and casts them to its
    compute dtype in every pass. What this gives, made outside of the loop,
    takes them from there:

        E = inference_function(network)
        while_loop(..., lambda x: step(x, E(x)), ...)

    It knows the weights of `SpectralConv2D` and of `keras.layers.Dense`; other
    layers read their own. What an optimizer does later it does not see, and
    what a layer assigns in inference is dropped.

    Args:
        network: `keras.Model`.

    Returns:
        Function of images, as `network(images, training=False)`; it takes
        `training` too, which has to be false.

    Example:

    >>> network = clel_tf.models.EnergyResNet(
    ...     (8, 8, 1), widths=(8,), depths=(1,), dtype="mixed_bfloat16")
    >>> infer = clel_tf.models.inference_function(network)
    >>> features, latent = infer(np.zeros((2, 8, 8, 1), "float32"))
    >>> features.shape
    TensorShape([2, 128])
    """
    require_tensorflow("inference_function")
    values = []
    for layer in flat_layers(network):
        for variable in _read_in_inference(layer):
            value = tf.convert_to_tensor(variable.value)
            values.append((variable, tf.cast(value, layer.compute_dtype)))

    def infer(images, training=False):
        if training:
            raise ValueError(
                "Expected `training` to be false in inference; received: "
                f"{training!r}."
            )
        scope = keras.StatelessScope()
        for pair in values:  # as arguments they would be cast back
            scope.add_update(pair)
        with scope:
            return network(images, training=False)

    return infer


def _read_in_inference(layer):
    if isinstance(layer, SpectralConv2D):
        variables = [layer.normalized_kernel, layer.bias]
    elif type(layer) is keras.layers.Dense:
        variables = [layer.kernel, layer.bias]
    else:
        variables = []
    return [x for x in variables if isinstance(x, keras.Variable)]
