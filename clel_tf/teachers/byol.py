import keras
import tensorflow as tf

from clel_tf import losses
from clel_tf.layers.batch_normalization import BatchNormalization
from clel_tf.models.common import seed_stream
from clel_tf.models.moving_average import moving_copy
from clel_tf.teachers.checks import check_count
from clel_tf.teachers.teacher import Teacher


@keras.saving.register_keras_serializable(package="clel_tf")
class BYOL(Teacher):
    """Prediction of one view's latent from the other's; no negatives.

        loss = byol(q(h(t(x))), h'(t'(x))) + byol(q(h(t'(x))), h'(t(x))),
        h' <- momentum h' + (1 - momentum) h   after every step

    where `byol(p, t) = 2 - 2 cos(p, sg(t))`. The predictor `q` is a two-layer
    perceptron with batch normalisation, over all replicas' rows; the target
    encoder `h'` begins as a copy of `h`. Targets of the energy network, and
    what the model uses afterwards, are of `h`.

    Args:
        momentum: float in [0, 1). Defaults to the paper's; runs of some
            hundred steps are better off with more.
        predictor_width: int. Hidden width of the predictor.
        seed: int or None. Seed of the predictor's initial weights.
        **kwargs: see `Teacher`.

    Raises:
        ValueError: if an argument is out of its range.

    Example:

    >>> clel_tf.teachers.BYOL(momentum=0.9).loss_name
    'byol'

    Reference:
        [Grill et al.: Bootstrap Your Own Latent, NeurIPS
        2020](https://arxiv.org/abs/2006.07733)
    """

    loss_name = "byol"

    def __init__(
        self, momentum=0.996, predictor_width=256, seed=None, **kwargs
    ):
        super().__init__(**kwargs)
        if not 0 <= momentum < 1:
            raise ValueError(
                f"Expected `momentum` to be in [0, 1); received: {momentum!r}."
            )
        check_count("predictor_width", predictor_width)
        self.momentum = momentum
        self.predictor_width = predictor_width
        self.seed = seed

    def build_for(self, encoder):
        super().build_for(encoder)
        self.target_encoder = moving_copy(encoder)
        dimension, seeds = encoder.output_shape[-1], seed_stream(self.seed)
        layers = [
            keras.Input((dimension,)),
            _dense(self.predictor_width, seeds, use_bias=False),
            BatchNormalization(synchronized=True, dtype="float32"),
            keras.layers.ReLU(dtype="float32"),
            _dense(dimension, seeds),
        ]
        self.predictor = keras.Sequential(layers, name="predictor")

    def loss(self, encoder, views, *, training=True, **_):
        embeddings = encoder(tf.concat(views, axis=0), training=training)
        predictions = self.predictor(embeddings, training=training)
        others = tf.concat(views[::-1], axis=0)
        targets = self.target_encoder(others, training=training)
        # The sum of both directions, whose mean this is of.
        return 2.0 * losses.byol(predictions, targets)

    def after_step(self, encoder, healthy):
        followed = {id(variable) for variable in encoder.trainable_variables}
        pairs = zip(encoder.variables, self.target_encoder.variables)
        for source, target in pairs:
            if id(source) in followed:  # statistics are the target's own
                old = target.value
                moved = old + (1.0 - self.momentum) * (source.value - old)
                target.assign(tf.where(healthy, moved, old))

    def get_config(self):
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "predictor_width": self.predictor_width,
            "seed": self.seed,
        }


def _dense(width, seeds, use_bias=True):
    return keras.layers.Dense(
        width,
        use_bias=use_bias,
        kernel_initializer=keras.initializers.GlorotUniform(next(seeds)),
        dtype="float32",
    )
