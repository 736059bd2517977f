import keras
import tensorflow as tf

from clel_tf.ood.ood_score import OODScore


@keras.saving.register_keras_serializable(package="clel_tf")
class GradientNorm(OODScore):
    """The length of the energy's gradient at an image.

        score(x) = |dE(x) / dx|

    Energies are flat where there is much probability around, which a single
    point of low energy may lack. Gradients cost about as much again as the
    energies do.

    Example:

    >>> model = clel_tf.models.CLEL.from_preset("digits")
    >>> images = np.zeros((4, 8, 8, 1), "uint8")
    >>> model.score(images, score=clel_tf.ood.GradientNorm()).shape
    (4,)

    Reference:
        [Grathwohl et al.: Your Classifier is Secretly an Energy Based Model
        and You Should Treat it Like One, ICLR 2020]
        (https://arxiv.org/abs/1912.03263), approximate mass
    """

    def score_rows(self, model, images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            energies = model.energy(images)
        gradients = tape.gradient(energies, images)
        return tf.sqrt(tf.reduce_sum(tf.square(gradients), axis=[1, 2, 3]))
