"""What a trained encoder knows: linear probes on its latents and on pixels.

CLEL trains its encoder without labels; a linear classifier then learns digits
from its latents and some labels. On 8x8 digits pixels do as well: of 360 test
images it gets 96.7% right from latents and 96.9% from pixels, 91.8% and 91.8%
with 20 labels a class, 67.5% and 82.5% with five (preset, seed 0). `--model`
takes any trained model: a `model.keras` of `clel-train`, or a directory of
`save_to_preset`.
"""

import argparse
import pathlib

import keras
import numpy as np

from clel_tf import data
from clel_tf import metrics
from clel_tf import models


def trained(steps, seed, digits):
    """The preset, trained for some steps."""
    model = models.CLEL.from_preset("digits", seed=seed)
    model.compile(total_steps=steps)
    batches = digits.train(batch_size=64, seed=seed)
    model.fit(batches, steps_per_epoch=steps, verbose=0)
    return model


def load(path):
    if pathlib.Path(path).is_dir():
        return models.CLEL.from_preset(path)
    return keras.saving.load_model(path)


def accuracy(features, digits, labels_per_class, draws=10):
    """Mean test accuracy of probes on random labelled images, or on all."""
    train, test = features
    if labels_per_class is None:
        return metrics.linear_probe_accuracy(
            train, digits.y_train, test, digits.y_test
        )
    found = []
    for seed in range(draws):
        order = np.random.default_rng(seed).permutation(len(train))
        rows = np.concatenate(
            [
                order[digits.y_train[order] == c][:labels_per_class]
                for c in range(10)
            ]
        )
        labels = digits.y_train[rows]
        found.append(
            metrics.linear_probe_accuracy(
                train[rows], labels, test, digits.y_test
            )
        )
    return float(np.mean(found))


def main(steps=2080, model=None, seed=0):
    digits = data.load("digits")
    model = load(model) if model else trained(steps, seed, digits)
    splits = digits.x_train, digits.x_test
    kinds = {
        "latents": [model.latents(x) for x in splits],
        "pixels": [x.reshape(len(x), -1) / digits.levels for x in splits],
    }
    labels = {"5": 5, "20": 20, "all": None}  # a class
    return {
        kind: {name: accuracy(x, digits, n) for name, n in labels.items()}
        for kind, x in kinds.items()
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2080)
    parser.add_argument("--model", help="a trained model; else trains one")
    for name, figures in main(**vars(parser.parse_args())).items():
        print(name, {k: round(v, 3) for k, v in figures.items()})
