"""CLEL with less training of its encoder, for comparisons only."""

import keras

from clel_tf.models import CLEL


@keras.saving.register_keras_serializable(package="clel_tf_benchmarks")
class FewerViews(CLEL):
    """`CLEL` whose encoder learns of a quarter of each batch.

    Args:
        **kwargs: of `clel_tf.models.CLEL`.
    """

    def _encoder_terms(self, positives, negative_latents, keys, labels=None):
        part = positives[: positives.shape[0] // 4]
        return super()._encoder_terms(part, negative_latents, keys, labels)
