import functools

import keras
import tensorflow as tf


class Seen:
    """What the terms of an energy see of a batch of images.

    One pass through the network serves all terms of an energy, and none is made
    where no term asks for it.

    Args:
        images: float32 tensor `(n, height, width, channels)`.
        network: an energy network or its `inference_function`, giving features
            and latents; None for energies of images alone.
        temperature: float or scalar tensor, `T` of the chain.
        leading: bool. Whether chains are candidates still, which terms guide
            more strongly (see `clel_tf.samplers.Candidates`).

    Attributes:
        energy: float32 `(n,)`, the marginal energy `|f(x)|**2 / 2`.
        latents: float32 `(n, d)`, the unit vectors `g(f(x)) / |g(f(x))|`.
    """

    def __init__(self, images, network=None, temperature=1.0, leading=False):
        self.images = images
        self.temperature = temperature
        self.leading = leading
        self._network = network

    @functools.cached_property
    def _outputs(self):
        if self._network is None:
            raise ValueError(
                "Expected an energy network, which this energy asks for; "
                "received None."
            )
        return self._network(self.images, training=False)

    @functools.cached_property
    def energy(self):
        return 0.5 * tf.reduce_sum(tf.square(self._outputs[0]), axis=-1)

    @functools.cached_property
    def latents(self):
        return keras.ops.normalize(self._outputs[1], axis=-1)
