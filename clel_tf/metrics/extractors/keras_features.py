"""Outputs of a Keras model as features."""

import functools

import keras
import numpy as np
from keras import ops

from clel_tf.metrics.extractors.features import Features
from clel_tf.metrics.extractors.images import as_floats
from clel_tf.metrics.extractors.sha256 import sha256_of_weights
from clel_tf.models.common import graph


class KerasFeatures:
    """A network's outputs as features; see `extractors`.

    Networks run in inference: no dropout, batch normalisation by its running
    statistics. A `CLEL` model's latents are `KerasFeatures(model.ema_encoder)`.

    Args:
        model: `keras.Model` or `keras.Layer`, or function, from float32 images
            `[n, H, W, C]` in [0, 1] to one float tensor or array `[n, d]`.
        name: str or None, for the model's own.

    Raises:
        TypeError: if `model` can't be called, or does not give one array.

    Example:

    >>> from clel_tf.metrics import extractors
    >>> means = keras.layers.GlobalAveragePooling2D(name="means")
    >>> extractor = extractors.KerasFeatures(means)
    >>> extractor(np.full((2, 8, 8, 1), 0.25)).features
    array([[0.25],
           [0.25]], dtype=float32)
    """

    def __init__(self, model, name=None):
        if not callable(model):
            raise TypeError(
                f"Expected a Keras model or a function; received: {model!r}."
            )
        self.model = model
        self.name = name or getattr(model, "name", None) or _own_name(model)
        self._infer = model
        if isinstance(model, keras.Layer):
            self._infer = functools.partial(model, training=False)
            if keras.backend.backend() == "tensorflow":
                self._infer = graph(self._infer)

    def __call__(self, images):
        outputs = self._infer(
            ops.convert_to_tensor(as_floats(images), "float32")
        )
        if not hasattr(outputs, "shape"):
            raise TypeError(
                f"Expected {self.name} to give one array [n, d]; received: "
                f"{type(outputs).__name__}."
            )
        return Features(ops.convert_to_numpy(outputs).astype(np.float32))

    def identity(self):
        """dict of the name and of the SHA-256 of the weights, if any."""
        has_weights = hasattr(self.model, "weights")
        sha256 = sha256_of_weights(self.model) if has_weights else None
        return {"name": self.name, "sha256": sha256}


def _own_name(function):
    return getattr(function, "__name__", type(function).__name__)
