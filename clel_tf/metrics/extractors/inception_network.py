"""The FID Inception as a Keras model."""

import keras
import numpy as np

from clel_tf.metrics.extractors import inception_layout as layout

SIDE = 299  # pixels
_CLASSES = 1008
_EPSILON = 1e-3  # of the normalisation
_LISTED = 4  # entries that an error names
_FLOAT32 = {"dtype": "float32"}  # under any policy of the user's


def inception_network(arrays):
    """Builds the network with given weights.

    Normalisations, of statistics kept from training, are folded into their
    convolutions:

        relu(gamma (W * x - mean) / sqrt(variance + 0.001) + beta)
            = relu((s W) * x + (beta - s mean)),
        s = gamma / sqrt(variance + 0.001)

    Args:
        arrays: dict from the original graph's names to float arrays, in its
            layout; see `inception_layout`.

    Returns:
        `keras.Model` of float32 images `[n, 299, 299, 3]` in [-1, 1], giving
        float32 features `[n, 2048]`, those of the pooling "pool_3", and logits
        `[n, 1008]`, without their bias.

    Raises:
        ValueError: if an array is missing or misshapen.
    """
    network = _layers()
    _check(arrays, network)
    for one in layout.convolutions():
        _layer(network, one).set_weights(_folded(arrays, one))
    network.get_layer("logits").set_weights([arrays[layout.LOGITS]])
    return network


# === Layers ===


def _layers():
    images = keras.Input((SIDE, SIDE, 3), dtype="float32", name="images")
    x = _chain(images, layout.STEM)
    for block in layout.BLOCKS:
        x = _join([_chain(x, branch) for branch in block])
    pool = keras.layers.GlobalAveragePooling2D(name="features", **_FLOAT32)
    features = pool(x)
    logits = keras.layers.Dense(
        _CLASSES,
        use_bias=False,
        kernel_initializer="zeros",
        name="logits",
        **_FLOAT32,
    )(features)
    return keras.Model(images, [features, logits], name="inception")


def _chain(x, steps):
    for step in steps:
        if isinstance(step, layout.Pool):
            x = _pool(x, step)
        elif isinstance(step, layout.Convolution):
            x = _convolve(x, step)
        else:
            x = _join([_convolve(x, one) for one in step])
    return x


def _pool(x, pool):
    # Averages of "same" leave out the padding in TensorFlow.
    kind = {
        "average": keras.layers.AveragePooling2D,
        "max": keras.layers.MaxPooling2D,
    }[pool.kind]
    padding = "same" if pool.stride == 1 else "valid"
    return kind(3, pool.stride, padding, **_FLOAT32)(x)


def _convolve(x, one):
    return keras.layers.Conv2D(
        one.filters,
        (one.height, one.width),
        one.stride,
        one.padding,
        activation="relu",
        kernel_initializer="zeros",  # the cheapest; all are replaced
        name=_layer_name(one),
        **_FLOAT32,
    )(x)


def _join(outputs):
    return keras.layers.Concatenate(**_FLOAT32)(outputs)


def _layer_name(convolution):
    return convolution.name.replace("/", ".")  # Keras forbids "/"


def _layer(network, convolution):
    return network.get_layer(_layer_name(convolution))


# === Weights ===


def _folded(arrays, one):
    """Kernel and bias, computed in float64."""
    kernel, gamma, beta, mean, variance = (
        np.asarray(arrays[f"{one.name}/{part}"], np.float64)
        for part in layout.PARTS
    )
    scale = gamma / np.sqrt(variance + _EPSILON)
    return kernel * scale, beta - scale * mean


def _check(arrays, network):
    shapes = {layout.LOGITS: network.get_layer("logits").kernel.shape}
    for one in layout.convolutions():
        kernel = _layer(network, one).kernel.shape
        for part in layout.PARTS:
            shape = kernel if part == "conv2d_params" else kernel[-1:]
            shapes[f"{one.name}/{part}"] = shape
    wrong = [
        f"{key} {arrays[key].shape if key in arrays else 'missing'}"
        for key, shape in shapes.items()
        if key not in arrays or arrays[key].shape != tuple(shape)
    ]
    if wrong:
        more = f" and {len(wrong) - _LISTED} more" * (len(wrong) > _LISTED)
        raise ValueError(
            "Expected the entries of the FID Inception; received entries that "
            f"are missing or misshapen: {', '.join(wrong[:_LISTED])}{more}."
        )
