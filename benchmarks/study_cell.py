"""One cell of the study: trains it, judges it and prints its row as JSON.

  python benchmarks/study_cell.py CELL WORKDIR

CELL is the cell's fields as JSON, as `study.py` gives them. A cell that was
stopped goes on from its last checkpoint.
"""

import csv
import json
import pathlib
import resource
import sys

import keras
import numpy as np
import study_grid
import study_judges

import clel_tf
from clel_tf import files
from clel_tf import metrics
from clel_tf.callbacks import DivergenceError
from clel_tf.trainers import runs
from clel_tf.trainers import train_lib

# Of a run, when fresh samples are judged.
FRACTIONS = (0.125, 0.25, 0.5, 0.75, 1.0)
NUM_SAMPLES = 1000
NEIGHBORS = 1
# Of a Gaussian fitted to the data: a run that ends above it has failed.
FAILED_ABOVE = {"digits": 1.1, "cifar16": float("inf")}


class Curve(keras.callbacks.Callback):
    """Judges fresh samples in the course of training; a JSON file a point.

    Args:
        folder: `pathlib.Path`.
        steps: iterable of ints, after which to judge.
        judge: function of images giving a dict of figures.
        seed: int. Seed of the samples.
    """

    def __init__(self, folder, steps, judge, seed):
        super().__init__()
        self.folder = folder
        self.steps = set(steps)
        self.judge = judge
        self.seed = seed

    def on_train_batch_end(self, batch, logs=None):
        step = int(self.model.step.numpy())
        if step not in self.steps:
            return
        images = self.model.sample(NUM_SAMPLES, seed=self.seed)
        if not np.isfinite(images).all():
            return  # The divergence guard comes back to this step, or gives up.
        figures = {"step": step, **self.judge(images)}
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{step:06}.json"
        path.unlink(missing_ok=True)  # of a course that was left
        with files.new_file(path) as aside:
            aside.write_text(json.dumps(figures))

    def points(self):
        """Figures in the order of their steps, as far as they were judged."""
        paths = sorted(self.folder.glob("*.json"))
        return [json.loads(path.read_text()) for path in paths]


def run(cell, workdir):
    """Trains and judges a cell.

    Args:
        cell: `study_grid.Cell`.
        workdir: `pathlib.Path` of its own.

    Returns:
        dict for JSON. Of a run that the divergence guard gave up on it has the
        reason, "diverged", and the figures until then, and no others.
    """
    recipe, whole = prepared(cell, workdir.parents[2])
    steps = recipe["recipe"]["steps"]
    config = train_lib.TrainConfig(
        preset="study",
        recipe=recipe,
        seed=cell.seed,
        sample_every=steps,
    )
    curve = Curve(
        workdir.with_name(workdir.name + "-curve"),
        judged_steps(cell, steps),
        study_judges.judge(cell.setting, whole, workdir.parents[2]),
        cell.seed,
    )
    try:
        summary = train_lib.train(
            config,
            workdir,
            extra_callbacks=[curve],
            model_class=cell.model_class,
        )
    except DivergenceError as error:
        return {
            "steps": steps,
            "diverged": str(error),
            "failed": True,
            "curve": curve.points(),
        }
    model = runs.load_model(workdir)
    points = curve.points()
    distance = points[-1]["frechet_distance"] if points else 0.0
    row = {
        "steps": steps,
        "seconds_per_step": seconds_per_step(workdir),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "nan_steps": summary["nan_steps"],
        "incidents": summary["incidents"],
        "failed": summary["nan_steps"] > 0
        or summary["incidents"] > 0
        or not distance <= FAILED_ABOVE[cell.setting],
        "energy": model.known_energy_scale(),
        "beta": model.beta,
        "versions": summary["versions"],
    }
    if cell.left_out is None:
        return {**row, "knn": knn(model, whole), "curve": points}
    return {**row, "auroc": auroc(model, cell.left_out)}


def prepared(cell, folder):
    """A cell's recipe with the paths of its files, and its setting's images.

    Args:
        cell: `study_grid.Cell`.
        folder: `pathlib.Path` of the study's runs.
    """
    recipe = cell.recipe()
    whole = clel_tf.data.load(study_judges.data_of(cell.setting, folder))
    if cell.left_out is None:
        recipe["data"] = whole.spec
    if recipe["teacher"]["kind"] == "frozen":
        path = study_judges.classifier(cell.setting, whole, folder)
        recipe["teacher"]["path"] = str(path)
    return recipe, whole


def judged_steps(cell, steps):
    """After which steps samples are judged: multiples of 10."""
    if cell.left_out is not None:
        return set()
    if cell.seconds in study_grid.LENGTHS_OF_TUNING:
        return {steps}
    return {round(fraction * steps / 10) * 10 for fraction in FRACTIONS}


def seconds_per_step(workdir):
    """The lower quartile over a run: slow spells of a machine only add."""
    with (workdir / "timing.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    first = [0, *(int(row["step"]) for row in rows)]
    return float(
        np.percentile(
            [
                float(row["seconds"]) / (int(row["step"]) - before)
                for row, before in zip(rows, first)
            ],
            25,
        )
    )


def knn(model, data):
    """Nearest-neighbour accuracy of latents, None where there are none."""
    if model.encoder is None:
        return None
    train, test = (model.latents(x) for x in (data.x_train, data.x_test))
    return metrics.knn_accuracy(
        train, data.y_train, test, data.y_test, k=NEIGHBORS
    )


def auroc(model, label):
    """How well the class left out is told from the test images of the rest.

    By the marginal energy and by the model's own score, which with an encoder
    is the joint energy.
    """
    inside = clel_tf.data.load(f"without:{label}:digits").x_test
    left_out = clel_tf.data.load(f"only:{label}:digits")
    outside = np.concatenate([left_out.x_train, left_out.x_test])
    scores = {
        "marginal_energy": lambda x: model.predict(x, verbose=0),
        "own": model.score,
    }
    return {
        name: metrics.detection(
            score(inside), score(outside), resamples=2
        ).auroc.value
        for name, score in scores.items()
    }


def main():
    fields, workdir = sys.argv[1:]
    cell = study_grid.Cell(**json.loads(fields))
    row = run(cell, pathlib.Path(workdir))
    print(json.dumps(row))


if __name__ == "__main__":
    main()
