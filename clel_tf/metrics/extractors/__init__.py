"""Features of images, in which sets of images are compared.

An extractor is anything that is called with images and gives their `Features`:

    extractor(images)     `Features` of a batch: uint8 `[n, H, W, C]`, bytes,
                          or float in [0, 1]
    extractor.name        str
    extractor.identity()  dict for JSON of all that its values depend on:
                          "name", "sha256" (of what it was made of, or None)
                          and settings

Byte k stands for (k + 0.5)/256, and a float x for the byte floor(256 x), at
most 255. Images of fewer grey levels are scaled by the caller, level k to
(k + 0.5)/levels. `extract` runs an extractor over sets of any size.
"""

from clel_tf.metrics.extractors.digits_margins import DigitsMargins
from clel_tf.metrics.extractors.extract import extract
from clel_tf.metrics.extractors.features import Features
from clel_tf.metrics.extractors.inception import Inception
from clel_tf.metrics.extractors.keras_features import KerasFeatures
from clel_tf.metrics.extractors.pixels import Pixels
from clel_tf.metrics.extractors.sha256 import sha256_of_arrays
from clel_tf.metrics.extractors.sha256 import sha256_of_weights

__all__ = [
    "DigitsMargins",
    "Features",
    "Inception",
    "KerasFeatures",
    "Pixels",
    "extract",
    "sha256_of_arrays",
    "sha256_of_weights",
]
