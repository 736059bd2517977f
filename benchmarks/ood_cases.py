"""What is told from what: runs on digits, their images and the others."""

import dataclasses
import functools
import itertools
import subprocess
import sys

import digits_seeds
import numpy as np
import ood_baselines
import ood_scores

import clel_tf
from clel_tf.trainers import runs

SHIFTS = (
    "invert",
    "rotate",
    "shuffle",
    "blur",
    "mix",
    "photographs",
    "noise",
    "constant",
)
OURS = tuple(ood_scores.FAMILIES)
BASELINES = tuple(ood_baselines.FAMILIES)
FAMILIES = {**ood_scores.FAMILIES, **ood_baselines.FAMILIES}
VALIDATION_SEED, VALIDATION_CLASS, VALIDATION_IMAGES = 101, 6, 1150


@dataclasses.dataclass
class Case:
    """A trained run and the images that its scores are to tell apart.

    Attributes:
        workdir: path of the run.
        train: uint8 array of the images that it was trained on.
        inside: uint8 array of others of the same kind.
        outside: dict from names to uint8 arrays.
    """

    workdir: object
    train: np.ndarray
    inside: np.ndarray
    outside: dict

    @functools.cached_property
    def model(self):
        model = runs.load_model(self.workdir)
        model.measure_energy_scale(self.train)
        return model

    def scores(self, family, options):
        """Scores of a family: dict from set to float array, "" the inside."""
        if family in OURS:
            score = ood_scores.fit(family, options, self.model, self.train)
            return {name: score(x) for name, x in self._sets().items()}
        levels = clel_tf.data.load("digits").levels
        train = (self.train + 0.5) / levels
        score = ood_baselines.fit(family, options, train)
        return {
            name: score((x + 0.5) / levels) for name, x in self._sets().items()
        }

    def _sets(self):
        return {"": self.inside, **self.outside}


def choices(family):
    """All combinations of a family's settings, as dicts."""
    settings = FAMILIES[family]
    return [
        dict(zip(settings, values))
        for values in itertools.product(*settings.values())
    ]


def shifted(seed):
    """All classes against images made of the test split."""
    data = clel_tf.data.load("digits")
    outside = {
        name: clel_tf.data.load(f"{name}:digits").x_test for name in SHIFTS
    }
    workdir = digits_seeds.RUNS / str(seed)
    if not (workdir / "summary.json").is_file():
        digits_seeds.train(seed)
    return Case(workdir, data.x_train, data.x_test, outside)


def left_out(seed, label):
    """All classes but one against that one: no image of it was trained on."""
    spec = f"without:{label}:digits"
    data = clel_tf.data.load(spec)
    workdir = _train(spec, seed)
    outside = {f"class {label}": _all_of(label)}
    return Case(workdir, data.x_train, data.x_test, outside)


def validation():
    """Two cases for choices, of training images and another seed only."""
    cases = []
    for spec in ("digits", f"without:{VALIDATION_CLASS}:digits"):
        data = clel_tf.data.load(spec)
        count = VALIDATION_IMAGES
        taken = np.arange(count) * len(data.x_train) // count
        inside = np.delete(data.x_train, taken, axis=0)
        held_out = clel_tf.data.ImageData(spec, inside, levels=data.levels)
        outside = {
            name: clel_tf.data.shift(held_out, name).x_train for name in SHIFTS
        }
        if spec != "digits":
            train = clel_tf.data.load(f"only:{VALIDATION_CLASS}:digits").x_train
            outside = {f"class {VALIDATION_CLASS}": train}
        workdir = _train(spec, VALIDATION_SEED, f"--max_images={count}")
        cases.append(Case(workdir, data.x_train[taken], inside, outside))
    return cases


def _all_of(label):
    data = clel_tf.data.load(f"only:{label}:digits")
    return np.concatenate([data.x_train, data.x_test])


def _train(spec, seed, *flags):
    name = "-".join([spec.replace(":", "_"), str(seed), *flags]).replace(
        "=", ""
    )
    workdir = digits_seeds.RUNS / "ood" / name
    if (workdir / "summary.json").is_file():
        return workdir
    command = [sys.executable, "-m", "clel_tf.trainers.train"]
    command += ["--preset=digits", f"--data={spec}", f"--seed={seed}", *flags]
    subprocess.run([*command, f"--workdir={workdir}"], check=True)
    return workdir
