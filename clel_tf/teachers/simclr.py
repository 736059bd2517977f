import keras
import tensorflow as tf

from clel_tf import losses
from clel_tf.models import replicas
from clel_tf.models.joint_energy_model import unit
from clel_tf.teachers.checks import check_temperature
from clel_tf.teachers.teacher import Teacher


@keras.saving.register_keras_serializable(package="clel_tf")
class SimCLR(Teacher):
    """Contrastive learning, with generated images as further negatives: CLEL's.

        loss = NT-Xent(h(t(x+)), h(t'(x+)); sg(g(f(x-))))

    Args:
        temperature: float > 0. Temperature of NT-Xent.
        generated_negatives: bool. Whether the chains' latents are negatives,
            or other images' alone, as in SimCLR itself.
        gather_latents: bool. Whether an image is compared with those, and the
            chains, of all replicas, so that the number of devices does not
            change the loss, or with its own replica's only. Gathering costs the
            exchange of three latents an image.
        **kwargs: see `Teacher`.

    Raises:
        ValueError: if the temperature is out of its range.

    Example:

    >>> teacher = clel_tf.teachers.SimCLR(temperature=0.1)
    >>> teacher.loss_name
    'nt_xent'

    Reference:
        [Chen et al.: A Simple Framework for Contrastive Learning of Visual
        Representations, ICML 2020](https://arxiv.org/abs/2002.05709); [Lee et
        al.: Guiding Energy-based Models via Contrastive Latent Variables, ICLR
        2023](https://arxiv.org/abs/2303.03023)
    """

    loss_name = "nt_xent"

    def __init__(
        self,
        temperature=0.2,
        generated_negatives=True,
        gather_latents=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_temperature(temperature)
        self.temperature = temperature
        self.generated_negatives = generated_negatives
        self.gather_latents = gather_latents

    def loss(self, encoder, views, *, negatives=None, training=True, **_):
        latents = unit(encoder(tf.concat(views, axis=0), training=training))
        others = [negatives] if self.generated_negatives else []
        if self.gather_latents and replicas.count() > 1:
            # Of the views, the other replicas' only: an anchor has to find its
            # own among them.
            others += [replicas.others(x) for x in (latents, *others)]
        joined = tf.concat(others, axis=0) if others else None
        return losses.nt_xent(latents, joined, self.temperature)

    def get_config(self):
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "generated_negatives": self.generated_negatives,
            "gather_latents": self.gather_latents,
        }
