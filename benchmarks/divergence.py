"""Plants faults in training on digits, and shows what the guard makes of them.

  python benchmarks/divergence.py [--quick]

Trains the preset `digits`, about an hour on two cores: a long run that nothing
is wrong with, and runs with NaN in one batch, with learning rates that are too
high, and with a poisoned replay buffer, some of them unguarded too. Measures
what the guard costs. Writes benchmarks/results/divergence.json and
docs/images/divergence.png. Runs that are done are kept in runs/divergence.
"""

import argparse
import contextlib
import json
import pathlib
import tempfile
import time

import keras
import matplotlib
import numpy as np
import tensorflow as tf
import timing

import clel_tf
from clel_tf import presets
from clel_tf import random
from clel_tf.callbacks import DivergenceError
from clel_tf.callbacks import DivergenceGuard
from clel_tf.callbacks import checkpoint_file
from clel_tf.callbacks.training_snapshot import TrainingSnapshot
from clel_tf.data.dequantize import dequantize
from clel_tf.metrics import DigitsEvaluator
from clel_tf.models.vital_signs import SIGNS

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "results" / "divergence.json"
PICTURE = ROOT / "docs" / "images" / "divergence.png"
STEPS = 1200
LONG = 4000  # steps of the run that nothing is wrong with
PLANTED = 500  # the step after which a fault comes
RATES = (10, 100)
SAMPLES = 1000
ROUNDS = 60  # of timed steps


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--quick", action="store_true", help="few steps, to try"
    )
    quick = parser.parse_args().quick
    steps, long = (120, 240) if quick else (STEPS, LONG)
    data = clel_tf.data.load("digits")
    curves, record = {}, {"cost": cost(data)}
    print(json.dumps(record), flush=True)
    with contextlib.ExitStack() as stack:
        folder = ROOT / "runs" / "divergence"
        if quick:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
        for name, options in scenarios(steps, long).items():
            path = pathlib.Path(folder) / f"{name}.npz"
            curves[name], record[name] = once(path, run, data, **options)
            print(name, json.dumps(record[name]), flush=True)
    if not quick:
        RESULT.write_text(json.dumps(record, indent=2) + "\n")
    plot(curves, record, "/tmp/divergence.png" if quick else PICTURE)


def once(path, function, *arguments, **options):
    """Arrays and a record: of a file, or of a function and for the file."""
    if not path.exists():
        arrays, record = function(*arguments, **options)
        path.parent.mkdir(parents=True, exist_ok=True)
        checkpoint_file.write(path, record, arrays)
        keras.backend.clear_session()
    record, arrays = checkpoint_file.read(path)
    return arrays, record


def scenarios(steps, long):
    """Names of runs, and what they are made of."""
    runs = {"healthy": {"steps": long}, "nan": {"steps": steps, "fault": "nan"}}
    for factor in RATES:
        runs[f"rate {factor}"] = {"steps": steps, "factor": factor}
    runs["poison"] = {"steps": steps, "fault": "poison"}
    for name in (f"rate {RATES[-1]}", "poison"):
        runs[f"{name}, unguarded"] = {**runs[name], "guarded": False}
    return runs


def run(data, steps, fault=None, factor=1, guarded=True):
    """Trains once, with a fault.

    Returns:
        Tuple of a dict of arrays, a value a step, and a dict for JSON.
    """
    recipe = presets.get("digits")
    recipe["recipe"]["energy_optimizer"]["learning_rate"] *= factor
    model = presets.build(recipe)
    model.compile(total_steps=steps)
    batches = data.train(recipe["recipe"]["batch_size"], seed=0)
    planted = min(PLANTED, steps // 2)
    if fault == "nan":
        batches = with_nan(batches, data.levels, planted)
    curves = Curves(poison if fault == "poison" else None, planted)
    with tempfile.TemporaryDirectory() as directory:
        guard = [DivergenceGuard(directory)] if guarded else []
        error, start = None, time.perf_counter()
        try:
            model.fit(
                batches,
                steps_per_epoch=steps,
                shuffle=False,
                verbose=0,
                callbacks=[*guard, curves],
            )
        except DivergenceError as raised:
            error = str(raised)
        seconds = time.perf_counter() - start
        path = pathlib.Path(directory) / "incidents.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
    return curves.arrays(), {
        "steps": steps,
        "steps_made": int(model.step.numpy()),
        "seconds": round(seconds, 1),
        "incidents": [json.loads(line) for line in lines],
        "gave_up": error,
        "frechet_distance": _frechet_distance(data, model),
        "nearest_to_a_limit": curves.nearest(),
    }


def _frechet_distance(data, model):
    evaluator = DigitsEvaluator(
        data.x_train, data.y_train, data.x_test, data.levels
    )
    samples = model.sample(SAMPLES, seed=0)
    return evaluator.figures(samples)["frechet_distance"]


def with_nan(batches, levels, step):
    """The same batches as floats, the one after `step` with one NaN."""

    def plant(index, images):
        key = random.fold_in(random.as_key(0), index)
        images = dequantize(images, levels, key)
        pixel = tf.one_hot(0, tf.size(images), np.nan, 0.0)
        faulty = images + tf.reshape(pixel, tf.shape(images))
        return tf.where(index == step, faulty, images)

    return batches.enumerate().map(plant)


def poison(model):
    """Fills the replay buffer with random black and white pixels."""
    buffer = {}
    model.replay_buffer.save_own_variables(buffer)
    shape = buffer["images"].shape
    pixels = np.random.default_rng(0).integers(0, 2, shape) * 255
    buffer["images"] = pixels.astype("uint8")
    model.replay_buffer.load_own_variables(buffer)


class Curves(keras.callbacks.Callback):
    """Keeps the logs of each step, and how near to its limits each sign was."""

    def __init__(self, fault, step):
        super().__init__()
        self.fault, self.step = fault, step
        self.rows = []

    def on_train_batch_end(self, batch, logs=None):
        vitals = self.model.vital_signs
        noise = self.model.sampler.noise_scale
        least, largest = map(
            np.array, vitals.allowed(vitals.count.value, noise)
        )
        recent, mean = vitals.recent.numpy(), vitals.mean.numpy()
        beyond = np.where(recent > mean, largest - mean, mean - least)
        near = dict(zip(SIGNS, np.abs(recent - mean) / beyond))
        self.rows.append({**logs, **{f"near {k}": v for k, v in near.items()}})
        if self.fault and int(self.model.step.numpy()) == self.step:
            self.fault(self.model)

    def arrays(self):
        return {
            name: np.array([float(row[name]) for row in self.rows])
            for name in self.rows[0]
        }

    def nearest(self):
        """The largest part of what was allowed, by sign."""
        arrays = self.arrays()
        return {
            name: round(float(arrays[f"near {name}"].max()), 3)
            for name in SIGNS
        }


def cost(data):
    """What statistics, a look and a copy cost, beside a step.

    Returns:
        dict: seconds of a step with and without statistics, in the median,
        their ratio with an interval, and milliseconds of a look and of a copy.
    """
    images = data.x_train[:64]
    batches = {
        name: _stepper(images, recorded)
        for name, recorded in (("with", True), ("without", False))
    }
    seconds = timing.interleaved(batches, ROUNDS, warmups=5)
    model = presets.build(presets.get("digits"))
    model.compile()
    host = timing.interleaved(
        {
            "look": model.vital_signs.read,
            "copy": lambda: TrainingSnapshot(model),
        },
        ROUNDS,
    )
    return {
        "step_seconds": {n: float(np.median(s)) for n, s in seconds.items()},
        "ratio": timing.ratio(seconds["with"], seconds["without"]),
        **{f"{n}_ms": float(np.median(s)) * 1e3 for n, s in host.items()},
    }


def _stepper(images, recorded):
    """A function that makes a training step, with or without statistics."""
    model = presets.build(presets.get("digits"))
    model.compile()
    if not recorded:
        model.vital_signs.record = lambda *_: None
    model.make_train_function()
    batches = iter(tf.data.Dataset.from_tensors(images).repeat())
    return lambda: [v.numpy() for v in model.train_function(batches).values()]


def plot(curves, record, path):
    """The four panels of docs/divergence.md."""
    figure, axes = pyplot.subplots(
        2, 2, figsize=(10, 6.5), layout="constrained"
    )
    _plot_healthy(axes[0, 0], curves["healthy"])
    _plot_energies(axes[0, 1], curves["nan"], record["nan"])
    for axis, name, sign in (
        (axes[1, 0], f"rate {RATES[-1]}", "chain_displacement"),
        (axes[1, 1], "poison", "chain_travel"),
    ):
        _plot_both(axis, curves, record, name, sign)
    axes[1, 0].set_title(f"learning rate {RATES[-1]} times too high")
    axes[1, 1].set_title("replay buffer filled with noise of 0 and 1")
    for axis in axes.flat:
        axis.set_xlabel("training step")
        axis.legend(fontsize="small")
    figure.savefig(path, dpi=120)


def _plot_healthy(axis, values):
    for name in SIGNS:
        axis.plot(np.maximum(values[f"near {name}"], 1e-3), lw=0.6, label=name)
    axis.axhline(1, color="black", linestyle="--", label="incident")
    axis.set_yscale("log")
    axis.set_ylim(1e-3, 2)
    axis.set_title("nothing wrong: distance from the usual / allowed")


def _plot_energies(axis, values, record):
    for name, label in (("positive", "data"), ("negative", "chains")):
        axis.plot(values[f"energy_{name}"], lw=0.8, label=f"energy of {label}")
    _mark(axis, record)
    axis.set_yscale("log")
    axis.set_title("NaN in one batch")


def _plot_both(axis, curves, record, name, sign):
    for run_name, label in (
        (f"{name}, unguarded", "unguarded"),
        (name, "guarded"),
    ):
        values = np.maximum(curves[run_name][sign], 1e-4)
        axis.plot(np.arange(len(values)) + 1, values, lw=0.8, label=label)
    _mark(axis, record[name])
    axis.set_yscale("log")
    axis.set_ylabel(sign)


def _mark(axis, record):
    """Vertical lines where incidents were seen."""
    for action, color in (
        ("undone", "C7"),
        ("restored", "C2"),
        ("gave up", "C3"),
    ):
        seen = [
            x["seen_at"] for x in record["incidents"] if x["action"] == action
        ]
        for i, step in enumerate(seen):
            label = None if i else action
            axis.axvline(step, color=color, linestyle=":", label=label)


if __name__ == "__main__":
    main()
