import keras

from clel_tf.models.joint_energy_model import unit
from clel_tf.teachers.teacher import Teacher


@keras.saving.register_keras_serializable(package="clel_tf")
class Frozen(Teacher):
    """An encoder that is trained already, and stays as it is.

    Any `keras.Model` will do that takes float32 images of the model's shape, in
    [0, 1], and gives vectors of the energy network's `latent_dim`. What it
    needs besides, such as resizing or another range, is put before it in a
    `keras.Model`. Its `trainable` becomes False, and it is its own moving
    average.

    Args:
        augment: bool. Whether targets are of augmented views, by the model's
            `augmentation`, or of the images.
        **kwargs: see `Teacher`.

    Example:

    >>> backbone = keras.applications.MobileNetV3Small(
    ...     (32, 32, 3), weights=None, include_top=False, pooling="avg")
    >>> images = keras.Input((8, 8, 1))
    >>> x = keras.layers.Resizing(32, 32)(images)
    >>> x = keras.layers.Concatenate()([x, x, x])
    >>> x = keras.layers.Rescaling(255.0)(x)  # what MobileNet takes
    >>> encoder = keras.Model(images, backbone(x))
    >>> model = clel_tf.models.CLEL(
    ...     clel_tf.models.EnergyResNet(
    ...         (8, 8, 1), widths=(8,), depths=(1,), latent_dim=576),
    ...     encoder,
    ...     clel_tf.teachers.Frozen(augment=False),
    ... )
    >>> len(model.encoder.trainable_variables)
    0
    """

    def __init__(self, augment=True, **kwargs):
        super().__init__(**kwargs)
        self.augment = augment

    def build_for(self, encoder):
        super().build_for(encoder)
        encoder.trainable = False

    def target(self, encoder, images, training=True):
        return unit(encoder(images, training=False))

    def get_config(self):
        return {**super().get_config(), "augment": self.augment}
