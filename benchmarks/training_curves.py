"""Curves of training digits with good settings of the chains, and bad ones.

  python benchmarks/training_curves.py [--steps=N]

Trains in runs/training_curves/NAME, or takes what is there, then writes
benchmarks/results/training_curves.json and docs/images/training_curves.png.
"""

import argparse
import csv
import json
import pathlib
import subprocess
import sys

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
RUNS = ROOT / "runs" / "training_curves"
IMAGE = ROOT / "docs" / "images" / "training_curves.png"
RESULT = ROOT / "benchmarks" / "results" / "training_curves.json"

# All but "warm" have the preset's temperature.
CHANGES = {
    "preset": {},
    "small steps": {"sampler.step_size": 1, "sampler.noise_scale": 0.00159},
    "large steps": {"sampler.step_size": 400, "sampler.noise_scale": 0.0318},
    "warm": {"sampler.noise_scale": 0.071},
    "no restarts": {"replay_buffer.max_age": "null"},
}
PANELS = {
    "energy_positive": "energy of data",
    "energy_gap": "energy of chains less that of data",
    "chain_travel": "travel of a pixel in a visit",
    "chain_saturation": "share of pixels at 0 or 1",
    "latent_similarity": "cosine of g(f(x)) with the latent",
    "nt_xent": "NT-Xent",
}
WINDOW = 5  # rows of the log, of every tenth step


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=600)
    steps = parser.parse_args().steps
    for name, changes in CHANGES.items():
        _train(name, changes, steps)
    summaries = {name: _summary(name) for name in CHANGES}
    RESULT.write_text(json.dumps(summaries, indent=2) + "\n")
    _plot()


def _train(name, changes, steps):
    command = [sys.executable, "-m", "clel_tf.trainers.train"]
    command += ["--preset=digits", f"--workdir={RUNS / name}"]
    command += [f"--steps={steps}", "--guard=off"]
    for path, value in changes.items():
        command += ["--set", f"{path}={value}"]
    subprocess.run(command, check=True)


def _summary(name):
    return json.loads((RUNS / name / "summary.json").read_text())


def _metrics(name):
    with (RUNS / name / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {key: np.array([float(row[key]) for row in rows]) for key in rows[0]}


def _plot():
    figure, axes = pyplot.subplots(2, 3, figsize=(11, 6), layout="constrained")
    kernel = np.full(WINDOW, 1 / WINDOW)
    for name in CHANGES:
        metrics = _metrics(name)
        for axis, (key, title) in zip(axes.flat, PANELS.items()):
            means = np.convolve(metrics[key], kernel, mode="valid")
            axis.plot(metrics["step"][WINDOW - 1 :], means, label=name)
            axis.set_title(title, fontsize="medium")
    axes[0, 0].set_yscale("log")
    axes[0, 1].set_yscale("symlog", linthresh=1e-5)
    axes[0, 2].set_yscale("log")
    for axis in axes[1]:
        axis.set_xlabel("training step")
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(),
        ncols=5,
        loc="outside lower center",
    )
    figure.savefig(IMAGE, dpi=110)


if __name__ == "__main__":
    main()
