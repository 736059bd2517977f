"""Steers digits: conditional, composed and restored samples, and how good.

  python benchmarks/steering.py [--quick]

Trains the seeds 0 to 2 of the preset as `digits_seeds.py` does (about ten
minutes where they are not trained yet), then measures for about as long.
Labels have a part in no sample but by class means. Writes
benchmarks/results/steering.json, steering.md, and pictures in docs/images/.
"""

import argparse
import json
import pathlib

import digits_seeds
import steering_attributes
import steering_classes
import steering_plots
import steering_restoration
from steering_judge import Judge

from clel_tf.trainers import runs

SEEDS = (0, 1, 2)
RESULTS = pathlib.Path(__file__).resolve().parent / "results"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one seed, few")
    quick = parser.parse_args().quick
    judge = Judge()
    results = []
    for seed in SEEDS[:1] if quick else SEEDS:
        digits_seeds.train(seed)
        model = runs.load_model(digits_seeds.RUNS / str(seed))
        model.measure_energy_scale(judge.x_train)
        results.append(measure(model, judge, seed, 0.1 if quick else 1.0))
    summary = {"judge": judge.accuracy, "seeds": results}
    if quick:
        print(json.dumps(summary, indent=2))
        return
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(summary, indent=2, default=float) + "\n"
    (RESULTS / "steering.json").write_text(text)
    table = steering_plots.tables(results)
    (RESULTS / "steering.md").write_text(table)
    steering_plots.plots(results, model, judge)
    print(table)


def measure(model, judge, seed, share):
    """All figures of one model; `share` scales the numbers of samples."""
    figures = {"seed": seed}
    for module in (
        steering_classes,
        steering_attributes,
        steering_restoration,
    ):
        figures |= module.measure(model, judge, seed, share)
        print(json.dumps(figures, default=float), flush=True)
    return figures


if __name__ == "__main__":
    main()
