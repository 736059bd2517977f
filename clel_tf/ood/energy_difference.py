import keras

from clel_tf.ood.ood_score import OODScore


@keras.saving.register_keras_serializable(package="clel_tf")
class EnergyDifference(OODScore):
    """The energy of an image compared with another network's.

        score(x) = E(x) - E_ref(x)

    a ratio of likelihoods, of which what both networks know drops out: with a
    reference of an early step of training, or of general images, the complexity
    of an image.

    Args:
        reference: `keras.Model` from images to `(features, latent)`, an energy
            network. It is held as it is, not copied: the model's own
            `energy_network` is the one that training goes on with. It is saved
            and exported with the score.

    Raises:
        TypeError: if `reference` is no `keras.Model`.
        ValueError: by `score_rows`, if it takes other images than the model.

    Example:

    >>> model = clel_tf.models.CLEL.from_preset("digits")
    >>> early = clel_tf.models.CLEL.from_preset("digits", seed=1)
    >>> score = clel_tf.ood.EnergyDifference(early.ema_energy_network)
    >>> model.score(np.zeros((4, 8, 8, 1), "uint8"), score=score).shape
    (4,)

    Reference:
        [Ren et al.: Likelihood Ratios for Out-of-Distribution Detection,
        NeurIPS 2019](https://arxiv.org/abs/1906.02845)
    """

    def __init__(self, reference, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(reference, keras.Model):
            raise TypeError(
                "Expected `reference` as an energy network, a `keras.Model`; "
                f"received: {reference!r}."
            )
        self.reference = reference

    def score_rows(self, model, images):
        expected = tuple(self.reference.input_shape[1:])
        if expected != model.image_shape:
            raise ValueError(
                f"Expected images of {expected}, as the reference takes them; "
                f"the model's are of {model.image_shape}."
            )
        reference = model.energy(images, network=self.reference)
        return model.energy(images) - reference

    def get_config(self):
        reference = keras.saving.serialize_keras_object(self.reference)
        return {**super().get_config(), "reference": reference}

    @classmethod
    def from_config(cls, config):
        reference = keras.saving.deserialize_keras_object(config["reference"])
        return cls(**{**config, "reference": reference})
