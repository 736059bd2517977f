"""Digits by teacher: how well latents tell the classes, and samples' distance.

  python benchmarks/teachers.py [--teachers=simclr,byol] [--seeds=0,1,2]
    [--steps=1200] [--runs=runs/teachers]

A cell is one teacher and one seed: a run of `clel-train` of the preset digits
in RUNS/STEPS/TEACHER/SEED. Runs go on where they were stopped, finished cells
are only read, and the results are written anew after each. The teacher `frozen`
is a small classifier, trained before on the training split with its labels, in
RUNS/classifier.keras; its latents are what its last layer reads.

Writes benchmarks/results/teachers.json and teachers.md, of the cells asked for.
"""

import argparse
import json
import pathlib
import platform

import digits_seeds
import keras
import numpy as np

from clel_tf import data
from clel_tf import files
from clel_tf import metrics
from clel_tf import presets
from clel_tf.trainers import runs

TEACHERS = (
    "simclr",
    "simclr_no_negatives",
    "byol",
    "masked",
    "supervised",
    "frozen",
    "none",
)
# Chosen by the latents of seed 0 when the encoder is trained alone.
_RATE = "recipe.encoder_optimizer.learning_rate"
SETTINGS = {
    "byol": ["--set", f"{_RATE}=0.3", "--set", "teacher.momentum=0.999"],
    "masked": ["--set", f"{_RATE}=0.3"],
}
NEIGHBORS = (1, 20)
COLUMNS = {
    "teacher": lambda rows: rows[0]["teacher"],
    **{
        f"{k}-NN accuracy": lambda rows, k=k: _spread(
            [row["knn"] and row["knn"][str(k)] for row in rows], ".3f"
        )
        for k in NEIGHBORS
    },
    "Fréchet": lambda rows: _of(rows, "frechet_distance"),
    "pixels": lambda rows: _of(rows, "pixel_frechet_distance", ".3f"),
    "precision": lambda rows: _of(rows, "precision"),
    "coverage": lambda rows: _of(rows, "coverage"),
    "NaN steps": lambda rows: str(sum(r["summary"]["nan_steps"] for r in rows)),
    "seeds": lambda rows: str(len(rows)),
}


def main():
    options = _options()
    cells = []
    for seed in options.seeds:
        for teacher in options.teachers:
            cells.append(measure(teacher, seed, options.steps, options.runs))
            print(write(cells, digits_seeds.RESULTS), flush=True)


def measure(teacher, seed, steps, folder):
    """Trains a cell, or goes on with it, and returns its figures.

    Args:
        teacher: str, one of `TEACHERS`.
        seed: int.
        steps: int.
        folder: `pathlib.Path` of all cells.

    Returns:
        dict for JSON: "teacher", "seed", "knn", the accuracies of the encoder's
        latents on the test split by number of neighbours, or None without
        latents, and "summary", the run's.
    """
    name = teacher
    if teacher == "frozen":
        name = f"frozen:{classifier(folder / 'classifier.keras')}"
    place = folder / str(steps) / teacher
    path = place / f"{seed}.json"
    if path.is_file():
        return json.loads(path.read_text())
    flags = f"--teacher={name}", f"--steps={steps}", *SETTINGS.get(teacher, [])
    summary = digits_seeds.train(seed, *flags, runs=place)
    cell = {
        "teacher": teacher,
        "seed": seed,
        "knn": accuracies(runs.load_model(place / str(seed))),
        "summary": summary,
    }
    with files.new_file(path) as aside:
        aside.write_text(json.dumps(cell, indent=2) + "\n")
    return cell


def accuracies(model):
    """Nearest-neighbour accuracies of a model's latents on the test split."""
    if model.encoder is None:
        return None
    digits = data.load("digits")
    train, test = (model.latents(x) for x in (digits.x_train, digits.x_test))
    return {
        str(k): metrics.knn_accuracy(
            train, digits.y_train, test, digits.y_test, k=k
        )
        for k in NEIGHBORS
    }


def classifier(path, images=None, widths=(32, 64), seed=0, epochs=20):
    """The path of a frozen encoder's file, which is made if need be.

    Args:
        path: `pathlib.Path`.
        images: `clel_tf.data.ImageData` with labels of ten classes, or None for
            digits.
        widths: tuple of ints, channels of the convolutions.
        seed: int.
        epochs: int.

    Returns:
        `pathlib.Path`, of the part of a classifier that its last layer reads.
    """
    if path.is_file():
        return path
    images = images or data.load("digits")
    keras.utils.set_random_seed(seed)
    inputs = keras.Input(images.image_shape)
    x = inputs
    for width in widths:
        x = keras.layers.Conv2D(width, 3, padding="same")(x)
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.MaxPooling2D()(keras.layers.ReLU()(x))
    width = presets.get("digits")["energy_network"]["latent_dim"]
    latents = keras.layers.Dense(width)(keras.layers.Flatten()(x))
    classes = keras.layers.Dense(10)(keras.layers.ReLU()(latents))
    network = keras.Model(inputs, classes)
    network.compile(
        optimizer="adam",
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    x = ((images.x_train + 0.5) / images.levels).astype("float32")
    network.fit(x, images.y_train, batch_size=64, epochs=epochs, verbose=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.new_file(path) as aside:
        keras.Model(inputs, latents).save(aside)
    return path


def write(cells, folder):
    """Writes the results, a row a teacher; gives the table."""
    folder.mkdir(exist_ok=True)
    record = {"machine": platform.platform(), "runs": cells}
    (folder / "teachers.json").write_text(json.dumps(record, indent=2) + "\n")
    of_teachers = {}
    for cell in cells:
        of_teachers.setdefault(cell["teacher"], []).append(cell)
    text = digits_seeds.table(list(of_teachers.values()), COLUMNS)
    (folder / "teachers.md").write_text(text + "\n")
    return text


def _of(rows, name, form=".2f"):
    return _spread([row["summary"][name] for row in rows], form)


def _spread(values, form):
    """The mean of several seeds, and their smallest and largest value."""
    if None in values:
        return "–"
    mean, low, high = (
        f"{function(values):{form}}" for function in (np.mean, min, max)
    )
    return mean if len(values) == 1 else f"{mean} ({low} to {high})"


def _options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--teachers", default=",".join(TEACHERS))
    parser.add_argument("--seeds", default="0,1,2")
    steps = presets.get("digits")["recipe"]["steps"]
    parser.add_argument("--steps", type=int, default=steps)
    runs_folder = digits_seeds.ROOT / "runs" / "teachers"
    parser.add_argument("--runs", type=pathlib.Path, default=runs_folder)
    options = parser.parse_args()
    options.teachers = options.teachers.split(",")
    if not set(options.teachers) <= set(TEACHERS):
        parser.error(f"expected --teachers of {', '.join(TEACHERS)}")
    options.seeds = [int(seed) for seed in options.seeds.split(",")]
    options.runs = options.runs.absolute()
    return options


if __name__ == "__main__":
    main()
