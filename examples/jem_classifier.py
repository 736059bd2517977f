"""JEM: a classifier that is an energy-based model too.

`EnergyResNet` is the backbone of a classifier of digits. Its logits define an
energy of images,

    E(x) = -log sum_y exp(logits_y(x)),    p(x) ~ exp(-E(x) / T)

so that one network is trained as both: cross-entropy on labels, contrastive
divergence on chains of a replay buffer. After 600 steps (seed 0, four minutes
on two cores) 93.9% of 360 test images are classified rightly, and the Fréchet
distance of samples is 0.34, their precision 0.36.

Reference:
    [Grathwohl et al.: Your Classifier is Secretly an Energy Based Model and You
    Should Treat it Like One, ICLR 2020](https://arxiv.org/abs/1912.03263)
"""

import argparse
import pathlib

import keras
import numpy as np
import tensorflow as tf

from clel_tf import data
from clel_tf import images
from clel_tf import losses
from clel_tf import metrics
from clel_tf import models
from clel_tf import random
from clel_tf import samplers


def classifier(digits, seed):
    backbone = models.EnergyResNet(
        digits.image_shape,
        widths=(32, 64, 128),
        depths=(1, 1, 1),
        head_width=256,
        feature_dim=64,
        mean=digits.mean,
        std=digits.std,
        dense_stddev=0.1,
        seed=seed,
    )
    features, _ = backbone.outputs
    keras.utils.set_random_seed(seed)
    logits = keras.layers.Dense(10, name="logits")(features)
    return keras.Model(backbone.inputs, logits), backbone


class JEM:
    """A classifier, its chains, and the step that trains both."""

    def __init__(self, digits, optimizer, seed=0):
        self.network, self.backbone = classifier(digits, seed)
        self.levels, self.seed = digits.levels, seed
        self.optimizer = optimizer
        self.sampler = samplers.SGLD(
            step_size=0.02, noise_scale=0.01, num_steps=20, sample_steps=140
        )
        self.buffer = samplers.ReplayBuffer(1024, 0.0, max_age=200, seed=seed)
        self.buffer.build((None, *digits.image_shape))

    def energy(self, x):
        return -tf.reduce_logsumexp(self.network(x), axis=-1)

    @tf.function
    def train_step(self, batch, labels, step):
        key = random.fold_in(random.as_key(self.seed), step)
        positives = data.dequantize(batch, self.levels, random.fold_in(key, 0))
        chains = self.buffer.draw(random.fold_in(key, 1), len(batch))
        keys = random.fold_in(random.fold_in(key, 2), tf.range(len(batch)))
        negatives, _ = self.sampler.run(self.energy, chains.images, keys)
        ages = chains.ages + self.sampler.num_steps
        self.buffer.write(chains._replace(images=negatives, ages=ages))
        with tf.GradientTape() as tape:
            both = tf.concat([positives, negatives], 0)
            logits = self.network(both, training=True)
            real, fake = tf.split(-tf.reduce_logsumexp(logits, -1), 2)
            loss = losses.contrastive_divergence(real, fake, alpha=0.01)
            loss += tf.reduce_mean(
                keras.losses.sparse_categorical_crossentropy(
                    labels, logits[: len(batch)], from_logits=True
                )
            )
        weights = self.network.trainable_variables
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        for layer in self.backbone.spectral_layers:
            layer.refresh()  # its stored kernels follow the new weights
        return loss

    def sample(self, count, seed):
        keys = random.fold_in(random.as_key(seed), tf.range(count))
        start = random.uniform(random.fold_in(keys, -1), (8, 8, 1))
        run = tf.function(self.sampler.run, autograph=False)
        steps = self.sampler.sample_steps
        return run(self.energy, start, keys, steps)[0].numpy()


def main(steps=1200, count=1000, seed=0, out=None):
    digits = data.load("digits")
    schedule = keras.optimizers.schedules.CosineDecay(1e-3, steps)
    jem = JEM(digits, keras.optimizers.Adam(schedule, beta_1=0.0), seed)
    batches = digits.train(batch_size=64, seed=seed, with_labels=True)
    for step, (batch, labels) in batches.take(steps).enumerate():
        jem.train_step(batch, labels, step)
    samples = jem.sample(count, seed)
    if out:
        images.save_grid(samples[:64], pathlib.Path(out) / "jem_classifier.png")
    test = data.dequantize(digits.x_test, digits.levels)
    classes = np.argmax(jem.network.predict(test, verbose=0), axis=-1)
    evaluator = metrics.DigitsEvaluator(
        digits.x_train, digits.y_train, digits.x_test, digits.levels
    )
    figures = evaluator.figures(samples)
    chosen = "frechet_distance", "precision", "coverage"
    return {
        "accuracy": float(np.mean(classes == digits.y_test)),
        **{k: figures[k] for k in chosen},
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--out", help="folder for the picture")
    print(main(**vars(parser.parse_args())))
