"""Densities of scikit-learn on digits, judged as the study judges ours.

  python benchmarks/study_peers.py

Writes benchmarks/results/study_peers.json.
"""

import json
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


PEERS = {
    "one Gaussian": mixture(1),
    "mixture of 10 Gaussians": mixture(10),
    "mixture of 30 Gaussians": mixture(30),
    "restricted Boltzmann machine": boltzmann_machine,
}


def main():
    digits = data.load("digits")
    images = ((digits.x_train + 0.5) / digits.levels).reshape(-1, 64)
    judge = study_judges.judge("digits", digits, None)
    rows = []
    for name, sample in PEERS.items():
        for seed in study_grid.DESCRIPTIVE_SEEDS:
            started = time.perf_counter()
            drawn = np.clip(sample(images, seed), 0.0, 1.0)
            seconds = time.perf_counter() - started
            figures = judge(drawn.reshape(-1, *digits.image_shape))
            rows.append(
                {"peer": name, "seed": seed, "seconds": seconds, **figures}
            )
            print(
                f"{name:30} {figures['frechet_distance']:6.3f} "
                f"{figures['precision']:.3f} {figures['coverage']:.3f} "
                f"{figures['memorised']:.3f} {seconds:5.1f} s",
                flush=True,
            )
    RESULTS.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
