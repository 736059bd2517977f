"""The machine's ceiling of a chain: its network's convolutions alone.

A Langevin step is at least each convolution forward and its gradient with
respect to its input, at the network's shapes. The least time of one is that of
the fastest library that is installed, called as anybody would call it.
"""

import collections
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import torch_chains

# In one call of a function, whose own cost would show in small convolutions.
REPEATS = 4
DTYPES = ("float32", "bfloat16")


class Convolution(NamedTuple):
    """A convolution's timing, as a key.

    Attributes:
        shape: tuple `(height, width, kernel size, channels, filters)`.
        direction: str. "forward" or "backward", to the input's gradient.
        dtype: str.
        library: str. "tensorflow" or "torch".
    """

    shape: tuple
    direction: str
    dtype: str
    library: str


def shapes(network):
    """A `Counter` of the shapes of an `EnergyResNet`'s convolutions."""
    return collections.Counter(
        (*layer.input.shape[1:3], layer.kernel_size, *layer.kernel.shape[2:])
        for layer in network.spectral_layers
    )


def functions(network, batch):
    """Functions to time, each of `REPEATS` convolutions.

    Args:
        network: `EnergyResNet`.
        batch: int.

    Returns:
        dict from `Convolution`s to functions without arguments.
    """
    made = {}
    for shape in shapes(network):
        for dtype in DTYPES:
            for library, pair in _both(shape, batch, dtype).items():
                for direction, function in pair.items():
                    key = Convolution(shape, direction, dtype, library)
                    made[key] = function
    return made


def _both(shape, batch, dtype):
    """Each installed library's functions of the two directions."""
    pairs = {"tensorflow": _tensorflow(shape, batch, dtype, REPEATS)}
    if torch_chains.INSTALLED:
        pairs["torch"] = torch_chains.convolutions(shape, batch, dtype, REPEATS)
    return pairs


def seconds_per_step(network, seconds, dtype):
    """The ceiling of each round: every convolution once in each direction.

    Args:
        network: `EnergyResNet`.
        seconds: dict from `functions`' keys to arrays `(rounds,)` of seconds.
        dtype: str.

    Returns:
        Array `(rounds,)`.
    """
    fastest = {}
    for key, times in seconds.items():
        if isinstance(key, Convolution) and key.dtype == dtype:
            place = key.shape, key.direction
            fastest[place] = np.minimum(fastest.get(place, times), times)
    counts = shapes(network)
    return sum(counts[shape] * t for (shape, _), t in fastest.items()) / REPEATS


def _tensorflow(shape, batch, dtype, repeats):
    """TensorFlow's two directions of a convolution, by name."""
    height, width, size, channels, filters = shape
    inputs = (batch, height, width, channels)
    outputs = (batch, height, width, filters)
    kernel = tf.random.normal((size, size, channels, filters)).numpy()

    def forward(x, kernel):
        return tf.nn.conv2d(x, kernel, 1, "SAME")

    def backward(x, kernel):
        return tf.nn.conv2d_transpose(x, kernel, inputs, 1, "SAME")

    return {
        "forward": _in_turn(forward, inputs, kernel, dtype, repeats),
        "backward": _in_turn(backward, outputs, kernel, dtype, repeats),
    }


def _in_turn(function, shape, kernel, dtype, repeats):
    # Different ones, or the convolutions would be found to be the same.
    inputs = tuple(
        tf.cast(tf.random.normal(shape), dtype) for _ in range(repeats)
    )

    @tf.function(autograph=False)
    def in_turn(inputs):
        # In the graph, so that a library may reorder it once and for all.
        constant = tf.cast(tf.constant(kernel), dtype)
        outputs = []
        for x in inputs:
            with tf.control_dependencies(outputs[-1:]):
                outputs.append(function(x, constant))
        return outputs

    return lambda: in_turn(inputs)
