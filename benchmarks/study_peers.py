"""Densities of scikit-learn, judged as the study judges ours.

  python benchmarks/study_peers.py [--runs=runs/study] [--cifar10=FILE]

Of CIFAR-10 one Gaussian; and for both images of the test split, as a perfect
sampler would draw them. Writes benchmarks/results/study_peers.json.
"""

import argparse
import json
import pathlib
import time

import numpy as np
import study_cell
import study_grid
import study_judges
from sklearn.mixture import GaussianMixture
from sklearn.neural_network import BernoulliRBM

from clel_tf import data

RESULTS = study_grid.HERE / "results" / "study_peers.json"
_RIDGE = 1e-3  # on a mixture's covariances: some pixels are always 0
_GIBBS_STEPS = 2000


def mixture(components):
    """A function from images and a seed to samples of a Gaussian mixture."""

    def sample(images, seed):
        model = GaussianMixture(
            components, reg_covar=_RIDGE, random_state=seed
        ).fit(images)
        return model.sample(study_cell.NUM_SAMPLES)[0]

    return sample


def boltzmann_machine(images, seed):
    """Samples of a restricted Boltzmann machine: of pixels their means."""
    model = BernoulliRBM(
        n_components=256,
        learning_rate=0.05,
        batch_size=64,
        n_iter=300,
        random_state=seed,
    ).fit(images)
    generator = np.random.default_rng(seed)
    shape = study_cell.NUM_SAMPLES, images.shape[1]
    visible = generator.random(shape) < 0.5
    for _ in range(_GIBBS_STEPS):
        visible = model.gibbs(visible)
    hidden = model.transform(visible)
    logits = hidden @ model.components_ + model.intercept_visible_
    return 1.0 / (1.0 + np.exp(-logits))


def draws(held_out):
    """A function like the peers' that draws from given images."""

    def sample(_, seed):
        count = study_cell.NUM_SAMPLES
        generator = np.random.default_rng(seed)
        return generator.choice(held_out, count, replace=len(held_out) < count)

    return sample


PEERS = {
    "digits": {
        "one Gaussian": mixture(1),
        "mixture of 10 Gaussians": mixture(10),
        "mixture of 30 Gaussians": mixture(30),
        "restricted Boltzmann machine": boltzmann_machine,
    },
    "cifar16": {"one Gaussian": mixture(1)},
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=pathlib.Path, default="runs/study")
    parser.add_argument("--cifar10")
    options = parser.parse_args()
    rows = []
    for setting, peers in PEERS.items():
        spec = study_judges.data_of(setting, options.runs, options.cifar10)
        rows += judged(setting, peers, data.load(spec), options.runs)
    RESULTS.write_text(json.dumps(rows, indent=2) + "\n")


def judged(setting, peers, images, folder):
    """Figures of samples of a setting's peers, a row a seed.

    Args:
        setting: str.
        peers: dict from names to functions of flat images and a seed.
        images: `clel_tf.data.ImageData` of the setting.
        folder: `pathlib.Path` of the study's runs.
    """
    train, test = (
        ((x + 0.5) / images.levels).reshape(len(x), -1)
        for x in (images.x_train, images.x_test)
    )
    judge = study_judges.judge(setting, images, folder)
    rows = []
    for name, sample in {**peers, "test images": draws(test)}.items():
        for seed in study_grid.DESCRIPTIVE_SEEDS:
            started = time.perf_counter()
            drawn = np.clip(sample(train, seed), 0.0, 1.0)
            seconds = time.perf_counter() - started
            figures = judge(
                drawn.reshape(-1, *images.image_shape).astype(np.float32)
            )
            rows.append(
                {
                    "setting": setting,
                    "peer": name,
                    "seed": seed,
                    "seconds": seconds,
                    **figures,
                }
            )
            print(
                f"{setting:8} {name:30} {figures['frechet_distance']:7.3f} "
                f"{figures['precision']:.3f} {figures['coverage']:.3f} "
                f"{seconds:5.1f} s",
                flush=True,
            )
    return rows


if __name__ == "__main__":
    main()
