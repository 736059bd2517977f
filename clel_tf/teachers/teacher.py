import keras

from clel_tf.models.joint_energy_model import unit


@keras.saving.register_keras_serializable(package="clel_tf")
class Teacher(keras.layers.Layer):
    """Base of the teachers: how the encoder that guides an energy is trained.

        energy loss  = ... - beta mean cos(g(f(x+)), sg(target(x+)))
        encoder loss = loss + encoder_l2 / 2 |weights of h|**2

    `CLEL` gives the encoder `h` to every method, and keeps it with its moving
    average. A teacher holds its settings, and what training needs besides the
    encoder: weights that it makes in `build_for` are trained together with the
    encoder's, and are saved in checkpoints and `.keras` files, but not in
    presets.

    A subclass names its loss, which is a metric of training, and writes
    `loss`. Register it with Keras, so that its models can be saved.

    Attributes:
        loss_name: str, the metric's name; None of a teacher that trains
            nothing.
        needs_labels: bool. Whether `loss` takes the images' labels.
        augment: bool. Whether targets are of an augmented view of an image, or
            of the image.

    Args:
        **kwargs: of `keras.layers.Layer`. The dtype defaults to float32 under
            every global policy.

    Example:

    >>> class Spread(clel_tf.teachers.Teacher):
    ...     loss_name = "spread"
    ...     def loss(self, encoder, views, *, training=True, **_):
    ...         embeddings = encoder(views[0], training=training)
    ...         return -tf.reduce_mean(tf.math.reduce_std(embeddings, axis=0))
    >>> usual = clel_tf.models.CLEL.from_preset("digits")
    >>> model = clel_tf.models.CLEL(
    ...     usual.energy_network, usual.encoder, Spread(), levels=17)
    >>> "spread" in [metric.name for metric in model.metrics]
    True
    """

    loss_name: str | None = None
    needs_labels = False
    augment = True
    built: bool

    def __init__(self, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)

    @property
    def trains(self):
        """bool. Whether there is anything to train."""
        return self.loss_name is not None

    def build_for(self, encoder):
        """Makes what training needs besides the encoder.

        Args:
            encoder: `keras.Model`.

        Raises:
            ValueError: if it has been called before.
        """
        if self.built:
            raise ValueError(
                "Expected a teacher of this model's own; received "
                f"{self.name!r}, which another one has."
            )
        self.built = True

    def target(self, encoder, images, training=True):
        """The unit latents that guide the energy network, in a step's graph.

        Args:
            encoder: `keras.Model`: the one that is trained, or in validation
                its moving average.
            images: float32 tensor `(n, height, width, channels)` in [0, 1].
            training: bool. False in validation.

        Returns:
            float32 tensor `(n, d)`.
        """
        return unit(encoder(images, training=training))

    def loss(
        self,
        encoder,
        views,
        *,
        negatives=None,
        labels=None,
        key=None,
        training=True,
    ):
        """The encoder's loss but for its penalty, in a step's graph.

        A subclass names what it takes; the rest is `**_`.

        Args:
            encoder: see `target`.
            views: pair of float32 tensors `(n, height, width, channels)`, two
                augmented views of the same images.
            negatives: float32 tensor `(m, d)`, unit latents `g(f(x-))` of the
                chains, without gradient.
            labels: None, or integer tensor `(n,)`.
            key: uint64 scalar of `clel_tf.random`, for what is drawn.
            training: see `target`.

        Returns:
            float32 scalar. Of several replicas, the mean over this one's rows.
        """
        raise NotImplementedError

    def after_step(self, encoder, healthy):
        """Changes weights that follow the encoder, after its update.

        Args:
            encoder: `keras.Model`, as the step left it.
            healthy: bool scalar tensor; where it is false, the step was
                undone, and nothing may change.
        """
        return  # AutoGraph takes no body of a docstring alone
