"""Fresh digits from fewer, larger Langevin steps at the same temperature.

  python benchmarks/fewer_steps.py

Of the seed 101, as benchmarks/digits_steps.py, which trains it. Writes
benchmarks/results/fewer_steps.md.
"""

import pathlib

import digits_seeds
import digits_steps
import numpy as np

import clel_tf
from clel_tf.metrics import DigitsEvaluator
from clel_tf.samplers import SGLD
from clel_tf.trainers import runs

RESULT = pathlib.Path(__file__).resolve().parent / "results" / "fewer_steps.md"
COUNT = 1000
# Of each: the factor of the preset's step size, and the share of its steps.
SETTINGS = ((1, 1), (2, 1), (2, 1 / 2), (4, 1 / 4), (8, 1 / 8), (1, 1 / 2))


def main():
    digits_seeds.train(digits_steps.SEED)
    model = runs.load_model(digits_seeds.RUNS / str(digits_steps.SEED))
    data = clel_tf.data.load("digits")
    evaluator = DigitsEvaluator(data.x_train, data.y_train, data.x_test)
    lines = [
        "| step size | noise | steps | energy | Fréchet | precision "
        "| coverage |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    preset = model.sampler
    for factor, share in SETTINGS:
        model.sampler = SGLD(
            step_size=factor * preset.step_size,
            noise_scale=factor**0.5 * preset.noise_scale,
            gradient_clip=preset.gradient_clip,
        )
        steps = round(share * preset.sample_steps)
        lines.append(row(model, evaluator, steps))
        print(lines[-1], flush=True)
    RESULT.write_text("\n".join(lines) + "\n")


def row(model, evaluator, steps):
    """A row of the table."""
    images = model.sample(COUNT, num_steps=steps)
    energy = np.mean(model.predict(images, verbose=0))
    figures = evaluator.figures(images)
    cells = [
        f"{model.sampler.step_size:g}",
        f"{model.sampler.noise_scale:.4f}",
        str(steps),
        f"{energy:.2e}",
        f"{figures['frechet_distance']:.2f}",
        f"{figures['precision']:.2f}",
        f"{figures['coverage']:.2f}",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
