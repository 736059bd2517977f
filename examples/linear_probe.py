"""What a trained encoder knows: a linear probe with a few labels a class.

CLEL trains its encoder without labels. scikit-learn's logistic regression then
learns digits from a few labelled images, from the encoder's latents and, to
compare, from the pixels themselves. `--model` takes any trained model: a
`model.keras` of `clel-train`, or a directory of `save_to_preset`.
"""

import argparse
import pathlib

import keras
import numpy as np
from sklearn.linear_model import LogisticRegression

from clel_tf import data
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


def accuracy(features, digits, labels_per_class, draws=20):
    """Mean test accuracy of probes on random labelled images."""
    train, test = features
    found = []
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        rows = np.concatenate(
            [
                rng.permutation(np.flatnonzero(digits.y_train == c))[
                    :labels_per_class
                ]
                for c in range(10)
            ]
        )
        probe = LogisticRegression(C=100.0, max_iter=2000)
        probe.fit(train[rows], digits.y_train[rows])
        found.append(probe.score(test, digits.y_test))
    return float(np.mean(found))


def main(steps=1200, model=None, seed=0):
    digits = data.load("digits")
    model = load(model) if model else trained(steps, seed, digits)
    splits = digits.x_train, digits.x_test
    kinds = {
        "latents": [model.latents(x) for x in splits],
        "pixels": [x.reshape(len(x), -1) / digits.levels for x in splits],
    }
    return {
        name: {n: accuracy(features, digits, n) for n in (1, 5, 20)}
        for name, features in kinds.items()
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--model", help="a trained model; else trains one")
    for name, figures in main(**vars(parser.parse_args())).items():
        print(name, {k: round(v, 3) for k, v in figures.items()})
