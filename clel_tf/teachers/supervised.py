import keras
import tensorflow as tf

from clel_tf import losses
from clel_tf.models import replicas
from clel_tf.models.joint_energy_model import unit
from clel_tf.teachers.checks import check_temperature
from clel_tf.teachers.teacher import Teacher


@keras.saving.register_keras_serializable(package="clel_tf")
class Supervised(Teacher):
    """Labels: images of a class get one latent, supervised contrastively.

        loss = mean_i -1/|P(i)| sum_{p in P(i)}
                   log( exp(z_i . z_p / t) / sum_{j != i} exp(z_i . z_j / t) )

    over the latents of both views of all images, `P(i)` those of the label of
    image `i`. Train on `(images, labels)`, integer labels of shape `(n,)`.

    Args:
        temperature: float > 0.
        gather_latents: bool. Whether an image is compared with those of all
            replicas, so that the number of devices does not change the loss, or
            with its own replica's only.
        **kwargs: see `Teacher`.

    Raises:
        ValueError: if the temperature is out of its range.

    Example:

    >>> clel_tf.teachers.Supervised(temperature=0.1).needs_labels
    True

    Reference:
        [Khosla et al.: Supervised Contrastive Learning, NeurIPS
        2020](https://arxiv.org/abs/2004.11362), whose temperature is the
        default
    """

    loss_name = "supervised_contrastive"
    needs_labels = True

    def __init__(self, temperature=0.1, gather_latents=True, **kwargs):
        super().__init__(**kwargs)
        check_temperature(temperature)
        self.temperature = temperature
        self.gather_latents = gather_latents

    def loss(self, encoder, views, *, labels=None, training=True, **_):
        latents = unit(encoder(tf.concat(views, axis=0), training=training))
        labels = tf.concat([labels, labels], axis=0)
        elsewhere = None, None
        if self.gather_latents and replicas.count() > 1:
            elsewhere = replicas.others(latents), replicas.others(labels)
        return losses.supervised_contrastive(
            latents, labels, *elsewhere, self.temperature
        )

    def get_config(self):
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "gather_latents": self.gather_latents,
        }
