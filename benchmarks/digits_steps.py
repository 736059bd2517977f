"""Figures of fresh digits against the number of Langevin steps.

  python benchmarks/digits_steps.py

Trains the seed 101, on which the preset's number of steps was chosen. Writes
benchmarks/results/digits_steps.json and docs/images/digits_steps.png.
"""

import json
import pathlib

import digits_seeds
import matplotlib

import clel_tf
from clel_tf.metrics import DigitsEvaluator
from clel_tf.trainers import runs

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

SEED = 101
STEPS = (20, 50, 80, 110, 140, 170, 200, 300)
ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "results" / "digits_steps.json"
PICTURE = ROOT / "docs" / "images" / "digits_steps.png"
NAMES = {
    "frechet_distance": "Fréchet distance",
    "precision": "precision",
    "coverage": "coverage",
}


def main():
    data = clel_tf.data.load("digits")
    evaluator = DigitsEvaluator(data.x_train, data.y_train, data.x_test)
    digits_seeds.train(SEED)
    model = runs.load_model(digits_seeds.RUNS / str(SEED))
    rows = []
    for steps in STEPS:
        figures = evaluator.figures(model.sample(1000, num_steps=steps))
        rows.append({"steps": steps, **{n: figures[n] for n in NAMES}})
        print(
            "  ".join(f"{k} {v:.3g}" for k, v in rows[-1].items()), flush=True
        )
    RESULT.write_text(json.dumps(rows, indent=2) + "\n")
    _plot(rows, model.replay_buffer.max_age)


def _plot(rows, max_age):
    figure, axes = pyplot.subplots(1, 2, figsize=(8, 3), layout="constrained")
    steps = [row["steps"] for row in rows]
    for name, label in NAMES.items():
        axis = axes[0] if name == "frechet_distance" else axes[1]
        axis.plot(steps, [row[name] for row in rows], "o-", label=label)
    axes[0].set_ylim(bottom=0)
    axes[1].set_ylim(0, 1)
    for axis in axes:
        axis.axvline(max_age, color="grey", linestyle=":", label="oldest chain")
        axis.set_xlabel("Langevin steps from noise")
        axis.legend()
    figure.savefig(PICTURE, dpi=120)


if __name__ == "__main__":
    main()
