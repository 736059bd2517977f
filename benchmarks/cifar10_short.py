"""A short run of the CIFAR-10 preset on a CPU, and its pictures.

  python benchmarks/cifar10_short.py [--data=SPEC] [--steps=N]

SPEC defaults to tfds:cifar10, of which 10,000 images are used. Trains in
runs/cifar10_short (or continues there), then writes
benchmarks/results/cifar10_short.json, docs/images/cifar10_curves.png and
docs/images/cifar10_samples.png: figures and the model's own samples only.
"""

import argparse
import csv
import json
import pathlib
import subprocess
import sys

import matplotlib
import numpy as np
from PIL import Image

import clel_tf
from clel_tf.images import save_grid
from clel_tf.trainers import runs

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
RUN = ROOT / "runs" / "cifar10_short"
IMAGES = ROOT / "docs" / "images"
RESULT = ROOT / "benchmarks" / "results" / "cifar10_short.json"
MAX_IMAGES = 10_000
EVERY = 100  # steps between two pictures of the buffer
CELL = 65  # pixels of a picture: an image twice enlarged, and a separator

# The recipe is for 100,000 steps; these make something of a thousand.
SETTINGS = {
    # Half the time of float32 on a CPU with bfloat16 instructions.
    "energy_network.dtype": "mixed_bfloat16",
    "encoder.dtype": "mixed_bfloat16",
    # Few steps a visit and short lives: the network meets chains of every age
    # under its present weights, as in the preset for digits.
    "sampler.num_steps": 10,
    "sampler.sample_steps": 100,
    "replay_buffer.capacity": 1024,
    "replay_buffer.reinitialize_probability": 0.0,
    "replay_buffer.max_age": 100,
    # Steps that reach an image from noise within such a life. Their
    # temperature is 250 times the recipe's; beta goes with the energies.
    "sampler.step_size": 20.0,
    "sampler.noise_scale": 0.0071,
    "model.beta": 0.001,
    "model.ema_decay": 0.98,
    "model.ema_start": 50,
    # A light augmentation, of a tenth of the drawn chains.
    "model.chain_augmentation_probability": 0.1,
    "chain_augmentation.crop_scale": [0.6, 1.0],
    "chain_augmentation.brightness": 0.0,
    "chain_augmentation.contrast": 0.2,
    "chain_augmentation.saturation": 0.2,
    "chain_augmentation.hue": 0.0,
    "chain_augmentation.grayscale_probability": 0.0,
    "recipe.batch_size": 32,
    "recipe.energy_optimizer.learning_rate": 3e-4,
    "recipe.energy_optimizer.warmup_steps": 100,
    "recipe.energy_optimizer.final_fraction": 0.0,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default="tfds:cifar10")
    parser.add_argument("--steps", type=int, default=1000)
    options = parser.parse_args()
    command = [sys.executable, "-m", "clel_tf.trainers.train"]
    command += ["--preset=cifar10_small", f"--workdir={RUN}"]
    command += [f"--data={options.data}", f"--max_images={MAX_IMAGES}"]
    command += [f"--steps={options.steps}", f"--sample_every={EVERY}"]
    for name, value in SETTINGS.items():
        text = value if isinstance(value, str) else json.dumps(value)
        command += ["--set", f"{name}={text}"]
    subprocess.run(command, check=True)

    data = clel_tf.data.load(options.data).take(MAX_IMAGES)
    images = (data.x_train[:] + 0.5) / 256.0
    record = {
        "summary": json.loads((RUN / "summary.json").read_text()),
        "data": figures(images),
        "noise": figures(np.random.default_rng(0).random((500, 32, 32, 3))),
        "buffer": _pictures("buffer"),
        "fresh": _pictures("step"),
    }
    RESULT.write_text(json.dumps(record, indent=2) + "\n")
    _plot(record, _read_metrics())
    model = runs.load_model(RUN)
    save_grid(
        model.sample(64, seed=0), IMAGES / "cifar10_samples.png", columns=16
    )


def figures(images):
    """Colour and structure of images `(n, H, W, 3)` in [0, 1].

    Returns:
        dict: mean and standard deviation of each channel, the correlations of
        neighbouring pixels and of channels, and how much images differ in
        their mean brightness.
    """
    centred = images - images.mean(axis=(0, 1, 2))
    variance = (centred**2).mean()
    neighbours = (centred[:, :, 1:] * centred[:, :, :-1]).mean() / variance
    channels = np.corrcoef(images.reshape(-1, 3), rowvar=False)
    return {
        "mean": images.mean(axis=(0, 1, 2)).round(4).tolist(),
        "std": images.std(axis=(0, 1, 2)).round(4).tolist(),
        "neighbours": round(float(neighbours), 4),
        "channels": round(float(channels[np.triu_indices(3, 1)].mean()), 4),
        "brightness": round(float(images.mean(axis=(1, 2, 3)).std()), 4),
    }


def _pictures(name):
    """The figures of the 64 images in each of a run's pictures, by step."""
    return {
        int(path.stem.split("_")[1]): figures(_read_grid(path))
        for path in sorted((RUN / "samples").glob(f"{name}_*.png"))
    }


def _read_grid(path):
    pixels = (np.asarray(Image.open(path), "float64") + 0.5) / 256.0
    corners = range(0, pixels.shape[0], CELL)
    return np.stack(
        [
            pixels[i : i + CELL - 1 : 2, j : j + CELL - 1 : 2]
            for i in corners
            for j in corners
        ]
    )


def _read_metrics():
    with (RUN / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in rows[0]}


def _plot(record, metrics):
    figure, axes = pyplot.subplots(2, 2, figsize=(9, 6), layout="constrained")
    energy, latents = axes[0]
    for name, label in (("positive", "data"), ("negative", "chains")):
        _plot_mean(energy, metrics, f"energy_{name}", label)
    energy.set_title("energy, means of 100 steps")
    energy.set_yscale("log")
    energy.legend(fontsize="small")
    lines = _plot_mean(latents, metrics, "nt_xent", "NT-Xent")
    lines += _plot_mean(
        latents.twinx(),
        metrics,
        "latent_similarity",
        "cosine of g(f(x)) with the latent (right)",
        color="C1",
    )
    latents.set_title("latents, means of 100 steps")
    latents.legend(handles=lines, fontsize="small", loc="lower right")
    _plot_images(axes[1, 0], record, "std", "standard deviation, by channel")
    _plot_images(
        axes[1, 1], record, "neighbours", "correlation of neighbouring pixels"
    )
    for axis in axes.flat:
        axis.set_xlabel("training step")
    figure.savefig(IMAGES / "cifar10_curves.png", dpi=120)


def _plot_mean(axis, metrics, name, label, **kwargs):
    """Plots means of ten rows of the log; returns the lines."""
    means = np.convolve(metrics[name], np.full(10, 0.1), mode="valid")
    return axis.plot(metrics["step"][9:], means, label=label, **kwargs)


def _plot_images(axis, record, name, title):
    for kind, style in (("buffer", "o-"), ("fresh", "^--")):
        steps = list(record[kind])
        values = np.array([record[kind][s][name] for s in steps])
        values = values.reshape(len(steps), -1)
        for index, color in zip(range(values.shape[1]), "rgb"):
            label = f"{kind} (64 images)" if index == 0 else None
            color = color if values.shape[1] > 1 else None
            axis.plot(
                steps, values[:, index], style, color=color, ms=3, label=label
            )
    for index, value in enumerate(np.ravel(record["data"][name])):
        label = "data" if index == 0 else None
        axis.axhline(value, color="grey", linestyle=":", label=label)
    axis.set_title(title)
    axis.legend(fontsize="small", loc="lower right")


if __name__ == "__main__":
    main()
