"""SimCLR: an encoder trained without labels, by NT-Xent on augmented views.

A plain Keras model with a training step of its own, of the library's encoder,
augmentation and loss. Labels only judge it: a linear probe and the nearest
neighbour on its embeddings of the digits, before and after: from 0.875 and
0.836 to 0.894 and 0.900 in 60 steps (`--steps=60`, seed 0).
"""

import argparse

import keras
import tensorflow as tf

from clel_tf import data
from clel_tf import layers
from clel_tf import losses
from clel_tf import metrics
from clel_tf import models


class SimCLR(keras.Model):
    def __init__(self, encoder, augmentation, temperature=0.2):
        super().__init__()
        self.encoder = encoder
        self.augmentation = augmentation
        self.temperature = temperature

    def call(self, images):
        return keras.ops.normalize(self.encoder(images), axis=-1)

    def train_step(self, images):
        views = [self.augmentation(images), self.augmentation(images)]
        with tf.GradientTape() as tape:
            embeddings = self.encoder(tf.concat(views, 0), training=True)
            latents = keras.ops.normalize(embeddings, axis=-1)
            loss = losses.nt_xent(latents, temperature=self.temperature)
        weights = self.encoder.trainable_variables
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        return {"nt_xent": loss}


def judge(model, digits):
    """Accuracies of classifiers on the latents of a model."""
    train, test = (
        model.predict(data.dequantize(x, digits.levels), verbose=0)
        for x in (digits.x_train, digits.x_test)
    )
    splits = train, digits.y_train, test, digits.y_test
    return {
        "probe": metrics.linear_probe_accuracy(*splits),
        "neighbour": metrics.knn_accuracy(*splits),
    }


def main(steps=1000, seed=0):
    keras.utils.set_random_seed(seed)
    digits = data.load("digits")
    model = SimCLR(
        models.ResNetEncoder(
            digits.image_shape,
            widths=(32, 64, 128),
            depths=(1, 1, 1),
            head_width=256,
            latent_dim=64,
            mean=digits.mean,
            std=digits.std,
            seed=seed,
        ),
        layers.SimCLRAugmentation(
            crop_scale=(0.6, 1.0),
            integer_boxes=False,
            flip_probability=0.0,
            clip=True,
            seed=seed,
        ),
    )
    before = judge(model, digits)
    batches = digits.train(batch_size=128, seed=seed)
    images = batches.map(lambda x: data.dequantize(x, digits.levels))
    schedule = keras.optimizers.schedules.CosineDecay(1e-3, steps)
    model.compile(keras.optimizers.Adam(schedule))
    model.fit(images, steps_per_epoch=steps, verbose=0)
    return {"untrained": before, "trained": judge(model, digits)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1000)
    for name, figures in main(**vars(parser.parse_args())).items():
        print(name, {k: round(v, 3) for k, v in figures.items()})
