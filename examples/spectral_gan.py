"""A GAN whose discriminator is made of `SpectralConv2D`.

With the hinge loss, on digits. `training=True` divides each kernel by its
spectral norm, follows the norm and differentiates through it, so that the
discriminator is bounded without a penalty on gradients. After 4,000 steps (seed
0, under two minutes on two cores) the Fréchet distance of its digits is 1.2,
from 27 untrained, and the norms of the kernels in use are 1.02 to 1.03.
"""

import argparse
import pathlib

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from clel_tf import data
from clel_tf import images
from clel_tf import metrics
from clel_tf.layers import LeakyReLU
from clel_tf.layers import SpectralConv2D

BATCH_SIZE = 64
LATENT_DIM = 32


def discriminator():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Rescaling(2.0, -1.0),
            SpectralConv2D(32),
            LeakyReLU(0.2),
            keras.layers.AveragePooling2D(2),
            SpectralConv2D(64),
            LeakyReLU(0.2),
            keras.layers.AveragePooling2D(2),
            SpectralConv2D(128),
            LeakyReLU(0.2),
            keras.layers.Flatten(),
            keras.layers.Dense(1),
        ]
    )


def generator():
    return keras.Sequential(
        [
            keras.Input((LATENT_DIM,)),
            keras.layers.Dense(2 * 2 * 128, use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.Reshape((2, 2, 128)),
            keras.layers.Conv2DTranspose(
                64, 4, 2, padding="same", use_bias=False
            ),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.Conv2DTranspose(
                1, 4, 2, padding="same", activation="sigmoid"
            ),
        ]
    )


class GAN(keras.Model):
    def __init__(self):
        super().__init__()
        self.generator = generator()
        self.discriminator = discriminator()

    def compile(self, generator_optimizer, discriminator_optimizer):
        super().compile()
        self.optimizers = generator_optimizer, discriminator_optimizer

    def train_step(self, real):
        noise = keras.random.normal((2, BATCH_SIZE, LATENT_DIM))
        judge = self.discriminator
        with tf.GradientTape() as tape:
            fake = self.generator(noise[0], training=True)
            both = judge(tf.concat([real, fake], 0), training=True)
            on_real, on_fake = tf.split(both, 2)
            loss = ops.mean(ops.relu(1 - on_real) + ops.relu(1 + on_fake))
        weights = judge.trainable_variables
        self.optimizers[1].apply(tape.gradient(loss, weights), weights)
        with tf.GradientTape() as tape:
            fake = self.generator(noise[1], training=True)
            fooled = -ops.mean(judge(fake, training=True))
        weights = self.generator.trainable_variables
        self.optimizers[0].apply(tape.gradient(fooled, weights), weights)
        return {"discriminator": loss, "generator": fooled}


def spectral_norm(kernel):
    matrix = ops.convert_to_numpy(kernel).reshape(-1, kernel.shape[-1])
    return float(np.linalg.norm(matrix, ord=2))


def main(steps=4000, count=1000, seed=0, out=None):
    keras.utils.set_random_seed(seed)
    digits = data.load("digits")
    evaluator = metrics.DigitsEvaluator(
        digits.x_train, digits.y_train, digits.x_test, digits.levels
    )
    noise = keras.random.normal((count, LATENT_DIM), seed=seed)
    gan = GAN()
    untrained = evaluator.figures(gan.generator.predict(noise, verbose=0))
    gan.compile(
        keras.optimizers.Adam(5e-4, beta_1=0.5),
        keras.optimizers.Adam(5e-4, beta_1=0.5),
    )
    batches = digits.train(batch_size=BATCH_SIZE, seed=seed)
    scaled = batches.map(lambda x: data.dequantize(x, digits.levels))
    gan.fit(scaled, steps_per_epoch=steps, verbose=0)
    samples = gan.generator.predict(noise, verbose=0)
    if out:
        images.save_grid(samples[:64], pathlib.Path(out) / "spectral_gan.png")
    figures = evaluator.figures(samples)
    chosen = "frechet_distance", "precision", "coverage"
    return {
        **{name: figures[name] for name in chosen},
        "untrained": untrained["frechet_distance"],
        "norms": [
            spectral_norm(layer.normalized_kernel)
            for layer in gan.discriminator.layers
            if isinstance(layer, SpectralConv2D)
        ],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--out", help="folder for the picture")
    print(main(**vars(parser.parse_args())))
