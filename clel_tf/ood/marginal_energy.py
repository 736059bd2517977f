import keras

from clel_tf.ood.ood_score import OODScore


@keras.saving.register_keras_serializable(package="clel_tf")
class MarginalEnergy(OODScore):
    """The marginal energy of an image.

        score(x) = E(x) = |f(x)|**2 / 2

    It is `-log p(x)` but for a factor and a constant.

    Example:

    >>> model = clel_tf.models.CLEL.from_preset("digits")
    >>> images = np.zeros((4, 8, 8, 1), "uint8")
    >>> model.score(images, score=clel_tf.ood.MarginalEnergy()).shape
    (4,)

    Reference:
        [Du, Mordatch: Implicit Generation and Modeling with Energy-Based
        Models, NeurIPS 2019](https://arxiv.org/abs/1903.08689)
    """

    def score_rows(self, model, images):
        return model.energy(images)
