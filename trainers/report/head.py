"""What a report begins with: what was evaluated, and the main figures."""

from typing import NamedTuple

from clel_tf.trainers.report.glossary import metric
from clel_tf.trainers.report.tables import Cell
from clel_tf.trainers.report.tables import cell
from clel_tf.trainers.report.tables import share
from clel_tf.trainers.report.tables import value_of

_MAIN = ("frechet_distance", "precision", "coverage", "memorised")


class Card(NamedTuple):
    """A main figure.

    Attributes:
        label: str.
        figure: `Cell`.
        note: str. What it is of, or to be compared with.
    """

    label: str
    figure: Cell
    note: str


def facts(report):
    """What was evaluated, as a list of pairs of a name and a text."""
    found = [("Run", _joined(_run(report["run"])))]
    found.append(("Data", _joined(_data(report["data"]))))
    if "samples" in report:
        found.append(("Samples", _joined(_samples(report["samples"]))))
    if "reference" in report.get("quality", {}):
        reference = report["quality"]["reference"]
        of_split = f"{reference['n']:,} {reference['split']} images"
        found.append(("Compared with", of_split))
    if "created" in report:
        found.append(("Written", report["created"]))
    return found


def cards(report):
    """The main figures, as a list of `Card`s."""
    return [
        *_quality_cards(report.get("quality") or {}),
        *_accuracy_cards(report.get("representation") or {}),
        *_detection_cards(report.get("ood") or {}),
    ]


def _quality_cards(quality):
    extractors = quality.get("extractors")
    if not extractors:
        return []
    name = next(iter(extractors))  # the others are in the table
    figures = extractors[name]["metrics"]
    floors = extractors[name].get("test_split") or {}
    found = []
    for key in _MAIN:
        if key in figures:
            note = f"of {name}"
            if key in floors:
                note += f"; test split: {cell(floors[key]).text}"
            found.append(Card(metric(key).label, cell(figures[key]), note))
    return found


def _accuracy_cards(representation):
    accuracies = representation.get("encoder", {}).get("knn")
    if not accuracies:
        return []
    k = next(iter(accuracies))
    figure = cell(accuracies[k])
    return [Card(f"{k}-NN accuracy", figure, "of the encoder's latents")]


def _detection_cards(ood):
    found = []
    if ood.get("sets"):
        score = next(iter(ood["scores"]))
        figures = {
            spec: one["detection"][score]["auroc"]
            for spec, one in ood["sets"].items()
        }
        spec = min(figures, key=lambda spec: value_of(figures[spec]))
        note = f"of {score}; {spec}"
        found.append(Card("AUROC, hardest set", cell(figures[spec]), note))
    if ood.get("calibration"):
        calibrated = ood["calibration"]
        figure = Cell(share(calibrated["flagged"]["test"]))
        note = f"{share(calibrated['false_alarm_rate'])} asked for"
        found.append(Card("False alarms", figure, note))
    return found


def _run(run):
    yield run.get("workdir")
    if "step" in run:
        yield f"{run['step']:,} steps of training"


def _data(data):
    yield data.get("spec")
    for split in ("train", "test"):
        if data.get(split):
            yield f"{data[split]:,} {split} images"
    if "image_shape" in data:
        yield " × ".join(map(str, data["image_shape"]))
    if "levels" in data:
        yield f"{data['levels']} levels"


def _samples(settings):
    yield f"{settings['n']:,} from {settings.get('start', 'fresh chains')}"
    if "num_steps" in settings:
        yield f"{settings['num_steps']:,} steps each"
    if settings.get("rounds", 1) > 1:
        yield f"{settings['rounds']} rounds"
    if settings.get("final_steps"):
        yield f"{settings['final_steps']} final steps"
    if "weights" in settings:
        yield f"weights: {settings['weights']}"
    if "seed" in settings:
        yield f"seed {settings['seed']}"


def _joined(texts):
    return ", ".join(text for text in texts if text)
