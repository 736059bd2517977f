import keras
import numpy as np
import tensorflow as tf

from clel_tf.backend import require_tensorflow

_LAYERS_OWN = ("name", "trainable", "dtype")  # in every configuration


@keras.saving.register_keras_serializable(package="clel_tf")
class OODScore(keras.layers.Layer):
    """Base of the scores: the higher, the more out of distribution.

    `CLEL.score(images, score=...)` computes a score, and `CLEL.calibrate_ood`
    makes it the model's own, with a threshold; the model is then saved and
    exported with both. Nothing is drawn at random but what a fixed seed gives,
    and a row's score depends on that row alone.

    A subclass writes `score_rows`. One that learns of training images names
    its weights for that in `learned`, makes them by `add_learned`, and writes
    `adapt`. `version` is part of what the graphs of a score are kept by: it
    has to change where a weight is replaced by another one.

    Args:
        **kwargs: of `keras.layers.Layer`. The dtype defaults to float32 under
            every global policy.

    Example:

    >>> class MeanPixel(clel_tf.ood.OODScore):
    ...     def score_rows(self, model, images):
    ...         return tf.reduce_mean(images, axis=[1, 2, 3])
    >>> model = clel_tf.models.CLEL.from_preset("digits")
    >>> images = np.full((2, 8, 8, 1), 0.5)
    >>> model.score(images, score=MeanPixel())
    array([0.5, 0.5], dtype=float32)
    """

    learned: tuple[str, ...] = ()
    version = 0

    def __init__(self, **kwargs):
        require_tensorflow(type(self).__name__)
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.built = True

    def adapt(self, model, images):
        """Learns what the score has to know of in-distribution images.

        Most scores have nothing to learn.

        Args:
            model: `CLEL`.
            images: uint8 or float array `(n, height, width, channels)`, of the
                training data.
        """

    def score_rows(self, model, images):
        """The graph of `CLEL.score`.

        Args:
            model: `CLEL`.
            images: float32 tensor `(n, height, width, channels)`, values in
                [0, 1].

        Returns:
            float32 tensor `(n,)`.
        """
        raise NotImplementedError

    @property
    def adapted(self):
        """bool. Whether the score knows all that it has to learn."""
        weights = [getattr(self, name) for name in self.learned]
        with tf.init_scope():
            return all(w is not None and _is_finite(w) for w in weights)

    def check_adapted(self):
        """Raises `ValueError` where `adapt` has still to be called."""
        if not self.adapted:
            raise ValueError(
                "Expected a score that has seen training images, by `adapt` or "
                "as `training_images` of `calibrate_ood`; received: "
                f"{self.description}, which has not."
            )

    @property
    def description(self):
        """str. The class and its settings, for people."""
        settings = ", ".join(
            f"{name}={value!r}"
            for name, value in self.get_config().items()
            if name not in _LAYERS_OWN and isinstance(value, (int, float, str))
        )
        return f"{type(self).__name__}({settings})"

    def add_learned(self, name, shape):
        """Adds a weight that is NaN until `adapt` or a file sets it."""
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=keras.initializers.Constant(np.nan),
            trainable=False,
        )


def _is_finite(weight):
    return bool(np.all(np.isfinite(weight.numpy())))
