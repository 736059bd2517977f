"""Evaluating a trained run; what `clel-evaluate` calls."""

import dataclasses
import datetime
import json
import pathlib
import platform
import shutil
import sys
from collections.abc import Sequence

import keras
import numpy as np
import sklearn
import tensorflow as tf

import clel_tf
from clel_tf import files
from clel_tf.trainers import report
from clel_tf.trainers.evaluation import detection_figures
from clel_tf.trainers.evaluation import energy_figures
from clel_tf.trainers.evaluation import inputs as evaluation_inputs
from clel_tf.trainers.evaluation import representation_figures
from clel_tf.trainers.evaluation import sample_figures
from clel_tf.trainers.evaluation.parts import Parts
from clel_tf.trainers.run_directory import RunDirectory


@dataclasses.dataclass(frozen=True)
class Options:
    """What `clel-evaluate` takes.

    Attributes:
        workdir: str. Directory of the run.
        out: str. Directory of the report.
        data: str or None. Data other than the run's.
        seed: int. Of samples and intervals.
        num_samples: int. Fresh samples.
        steps: int or None. Langevin steps; None for the run's own.
        rounds: int. See `CLEL.sample`.
        final_steps: int. See `CLEL.sample`.
        batch_size: int or None. Images at a time.
        extractors: list of str or None. "inception", "digits", "pixels" and
            "keras:PATH"; None for what suits the data.
        inception: str or None. File of Inception's weights.
        allow_unknown_inception: bool. Whether the file may be an unknown one.
        reference: "train" or "test".
        ood: list of str. Specs, or names of built-in sets.
        scores: list of str, of which the first is calibrated, or None for the
            usual ones.
        beta: float or None. Of the score joint_energy.
        false_alarm_rate: float.
    """

    workdir: str
    out: str
    data: str | None = None
    seed: int = 0
    num_samples: int = 1000
    steps: int | None = None
    rounds: int = 1
    final_steps: int = 0
    batch_size: int | None = None
    extractors: Sequence[str] | None = None
    inception: str | None = None
    allow_unknown_inception: bool = False
    reference: str = "train"
    ood: Sequence[str] = ()
    scores: Sequence[str] | None = None
    beta: float | None = None
    false_alarm_rate: float = 0.05


def evaluate(options):
    """Evaluates a run, part by part, and writes the report.

    Args:
        options: `Options`.

    Returns:
        dict, what report.json holds.

    Raises:
        ValueError: if the request does not fit the run or the data.
        FileNotFoundError: if the run or a file is missing.
    """
    inputs = evaluation_inputs.load(options)
    parts = Parts(options.out, inputs.request)
    parts.create()
    found, arrays = sample_figures.measure(inputs, parts)
    for figures, more in (
        energy_figures.measure(inputs, parts, arrays["samples"]),
        representation_figures.measure(inputs, parts),
        detection_figures.measure(inputs, parts),
    ):
        found |= figures
        arrays |= more
    found = {**_manifest(options, inputs), **found}
    out = pathlib.Path(options.out)
    _save_model(inputs.model, found, options.workdir, out)
    with files.new_file(out / "report.json") as aside:
        aside.write_text(json.dumps(found, indent=2, allow_nan=False) + "\n")
    report.write(out / "report.html", found, arrays)
    _tell(found, out)
    return found


def _manifest(options, inputs):
    now = datetime.datetime.now(datetime.UTC)
    return {
        "title": options.workdir,
        "command": [pathlib.Path(sys.argv[0]).name, *sys.argv[1:]],
        "created": now.isoformat(timespec="seconds"),
        "versions": {
            "clel_tf": clel_tf.__version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
            "scikit-learn": sklearn.__version__,
            "python": platform.python_version(),
        },
        "machine": platform.platform(),
        "run": {
            "workdir": options.workdir,
            "weights_sha256": inputs.request["weights_sha256"],
            "step": int(inputs.model.step.numpy()),
            "config": RunDirectory(options.workdir).stored_config(),
        },
        "data": inputs.request["data"],
    }


def _save_model(model, found, workdir, out):
    """The model with its threshold, where `clel-export --workdir` finds it."""
    if "calibration" not in found.get("ood", {}):
        return
    with files.new_file(out / "model.keras") as aside:
        model.save(aside)
    directions = pathlib.Path(workdir) / "class_directions.npz"
    if directions.is_file():
        with files.new_file(out / directions.name) as aside:
            shutil.copyfile(directions, aside)


def _tell(found, out):
    print()
    for name, quality in found["quality"]["extractors"].items():
        metrics = quality["metrics"]
        for metric in ("frechet_distance", "precision", "coverage"):
            print(_line(f"{metric.replace('_', ' ')}, {name}", metrics[metric]))
    for spec, one in found.get("ood", {}).get("sets", {}).items():
        name = next(iter(one["detection"]))
        print(_line(f"AUROC, {spec}", one["detection"][name]["auroc"]))
    lines = [("report", out / "report.html"), ("manifest", out / "report.json")]
    if (out / "model.keras").is_file():
        lines.append(
            ("export", f"clel-export --workdir={out} --export_dir=...")
        )
    for name, value in lines:
        print(f"{name:>32}  {value}")


def _line(name, figure):
    interval = f"[{figure['low']:.3f}, {figure['high']:.3f}]"
    return f"{name:>32}  {figure['value']:.3f}  {interval}"
