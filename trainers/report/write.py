"""report.html: the page of an evaluation."""

import json
import pathlib
import shlex

import jinja2

from clel_tf.files import new_file
from clel_tf.trainers.report import energies as report_energies
from clel_tf.trainers.report import head as report_head
from clel_tf.trainers.report import images as report_images
from clel_tf.trainers.report import map as report_map
from clel_tf.trainers.report import plots as report_plots
from clel_tf.trainers.report import tables as report_tables
from clel_tf.trainers.report.glossary import glossary

_OTHER_METRICS = ("fpr_at_95_tpr", "aupr_out", "aupr_in")
_NEEDED = {"run", "data"}


def write(path, report, arrays):
    """Writes an evaluation as one HTML file, which needs no other.

    Tables are of the report's figures, pictures of the arrays; a section whose
    data are missing is left out. The page loads nothing and runs no script,
    and every text of the report is shown as it is. It is a function of the
    report and the arrays, and appears at once and whole, or not at all.

    Args:
        path: str or path, in an existing folder. A file there is replaced.
        report: dict for JSON, as `clel-evaluate` writes it to report.json.
            `run` and `data` are needed; `title`, `command`, `created`,
            `versions`, `samples`, `quality`, `representation`, `ood` and
            `energies` are shown if there.
        arrays: dict of NumPy arrays: images, in [0, 1], `samples`,
            `neighbours/samples`, `neighbours/images` (with their
            `neighbours/distances`) and `images/SET`; `energies/SET`;
            `scores/SCORE/SET`; `latents/SET`, `labels/test`; and `trace/steps`
            `[r]` with `energies`, `gradient_norms`, `displacements` and
            `saturated`, `[r, chains]`.

    Raises:
        ValueError: if the report lacks what it needs.

    Example:

    >>> import os, tempfile
    >>> from clel_tf.trainers import report
    >>> found = {
    ...     "run": {"workdir": "runs/digits", "step": 2080},
    ...     "data": {"spec": "digits", "train": 1437},
    ...     "energies": {"train": {"n": 1437, "mean": -1.5, "median": -1.6}}}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "report.html")
    ...     report.write(path, found, {"samples": np.ones([4, 8, 8, 1])})
    ...     os.listdir(folder)
    ['report.html']
    """
    if not _NEEDED <= report.keys():
        raise ValueError(
            f"Expected a report with {sorted(_NEEDED)}; received: "
            f"{sorted(report)}."
        )
    page = _template().render(_content(report, arrays))
    # Names of files may hold bytes that are no text.
    with new_file(path) as aside:
        aside.write_text(page, encoding="utf-8", errors="backslashreplace")


def _template():
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html")


def _content(report, arrays):
    """What the template shows: nothing, where data are missing."""
    entries = report.get("energies")
    return {
        "title": report.get("title") or report["run"].get("workdir", ""),
        "facts": report_head.facts(report),
        "cards": report_head.cards(report),
        "samples": report_images.samples(arrays),
        "neighbours": report_images.neighbours(arrays),
        "quality": _table(report_tables.quality, report.get("quality")),
        "representation": _table(
            report_tables.representation, report.get("representation")
        ),
        "energies": entries and report_energies.table(entries, arrays),
        **_detection(report.get("ood") or {}, arrays),
        "latents": report_map.pictures(arrays),
        "chains": report_plots.chains(arrays),
        "glossary": glossary(report),
        "command": shlex.join(report.get("command", [])),
        "manifest": _manifest(report),
    }


def _table(make, entry, *args):
    return make(entry, *args) if entry else None


def _detection(ood, arrays):
    ood = {"scores": {}, "sets": {}, "calibration": {}, **ood}
    found = ood["sets"] and ood
    return {
        "detection": _table(report_tables.detection, found, "auroc"),
        "more_detection": [
            _table(report_tables.detection, found, name)
            for name in _OTHER_METRICS
        ],
        "roc": report_plots.roc_curves(ood["scores"], ood["sets"], arrays),
        "legend": [
            (name, *report_plots.line_style(i))
            for i, name in enumerate(ood["scores"])
        ],
        "examples": report_images.examples(ood["sets"], arrays),
        "calibration": _table(_calibration, ood["calibration"]),
    }


def _calibration(calibrated):
    return {
        "score": calibrated["score"],
        "threshold": report_tables.number(calibrated["threshold"]),
        "images": f"{calibrated['n']:,}",
        "rate": report_tables.share(calibrated["false_alarm_rate"]),
        "flagged": report_tables.flagged(calibrated),
    }


def _manifest(report):
    """Texts of JSON by title: what it takes to get the figures again."""
    run = dict(report["run"])
    config = run.pop("config", None)
    ood, quality = report.get("ood") or {}, report.get("quality") or {}
    parts = {
        "Versions": report.get("versions"),
        "Machine": report.get("machine"),
        "Run": run,
        "Data": report["data"],
        "Samples": report.get("samples"),
        "Features": {
            name: extractor.get("identity")
            for name, extractor in quality.get("extractors", {}).items()
        },
        "Scores": ood.get("scores"),
        "Other sets": {
            spec: {k: x for k, x in one.items() if k != "detection"}
            for spec, one in ood.get("sets", {}).items()
        },
        "Configuration of the run": config,
    }
    return {
        title: json.dumps(part, indent=2, ensure_ascii=False)
        for title, part in parts.items()
        if part
    }
