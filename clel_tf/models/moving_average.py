"""Exponential moving averages of networks with state of their own."""

from clel_tf.models.common import spectral_layers


def moving_copy(network):
    """A copy of a network that follows it, and is not trained itself."""
    config = network.get_config()
    copied = type(network).from_config(
        {**config, "name": f"ema_{network.name}"}
    )
    copied.set_weights(network.get_weights())
    copied.trainable = False
    return copied


def update_moving_copy(network, copied, decay):
    """Moves a copy towards its network: `a <- w + decay (a - w)`.

    Trainable weights are averaged and statistics of batch normalisation copied.
    Spectral normalisation is neither: the averaged kernels have singular
    vectors of their own, which take one power iteration.

    Args:
        network: the trained `keras.Model`.
        copied: its `moving_copy`.
        decay: float scalar tensor in [0, 1); 0 copies.
    """
    own = {
        id(variable)
        for layer in spectral_layers(copied)
        for variable in (layer.u, layer.v, layer.normalized_kernel)
    }
    trained = {id(variable) for variable in network.trainable_variables}
    for source, target in zip(network.variables, copied.variables):
        if id(source) in trained:
            value = source.value
            target.assign(value + decay * (target.value - value))
        elif id(target) not in own:
            target.assign(source.value)
    for layer in spectral_layers(copied):
        layer.refresh(iterations=1)
