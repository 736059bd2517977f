import keras
import numpy as np

from clel_tf.ood.marginal_energy import MarginalEnergy
from clel_tf.ood.ood_score import OODScore


@keras.saving.register_keras_serializable(package="clel_tf")
class Typicality(OODScore):
    """The distance of an image's energy from that of a usual image.

        score(x) = |E(x) - m|,    m = median of E over training images

    Simple images, such as flat ones, may have energies far below those of all
    data: what is more likely than any image is not typical either.

    Example:

    >>> model = clel_tf.models.CLEL.from_preset("digits")
    >>> images = clel_tf.data.load("digits").x_train[:64]
    >>> score = clel_tf.ood.Typicality()
    >>> score.adapt(model, images)
    >>> model.score(images[:4], score=score).shape
    (4,)

    Reference:
        [Nalisnick et al.: Detecting Out-of-Distribution Inputs to Deep
        Generative Models Using Typicality, 2019]
        (https://arxiv.org/abs/1906.02994)
    """

    learned = ("median",)

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.median = self.add_learned("median", ())

    def adapt(self, model, images):
        energies = model.score(images, score=MarginalEnergy())
        self.median.assign(np.median(energies))

    def score_rows(self, model, images):
        self.check_adapted()
        return keras.ops.abs(model.energy(images) - self.median)
