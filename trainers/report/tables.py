"""Tables of a report's figures."""

from typing import NamedTuple

from clel_tf.trainers.report.glossary import metric
from clel_tf.trainers.report.picture import Picture

_NONE = "–"


class Cell(NamedTuple):
    """A figure as text.

    Attributes:
        text: str.
        interval: str, or "" where there is none.
        best: bool. Whether it is the best of its row.
        picture: `Picture` in place of a text, or None.
    """

    text: str = ""
    interval: str = ""
    best: bool = False
    picture: Picture | None = None


class Row(NamedTuple):
    """A row of a table.

    Attributes:
        name: str.
        cells: list of `Cell`, one a column.
        better: see `report_glossary.Metric`.
    """

    name: str
    cells: list
    better: str = ""


class Table(NamedTuple):
    """A table.

    Attributes:
        caption: str.
        corner: str. What the rows are.
        columns: list of str.
        rows: list of `Row`.
        groups: list of tuples of a name and how many columns it is over; an
            empty one for none.
    """

    caption: str
    corner: str
    columns: list
    rows: list
    groups: list | tuple = ()


def number(value):
    """A number in three digits, or in whole ones; a dash for None."""
    if value is None:
        return _NONE
    if abs(value) >= 99.95:  # which three digits round to 100
        return f"{value:,.0f}"
    return f"{value:#.3g}"


def share(value):
    """A share in percent."""
    return f"{value:.1%}"


def cell(figure):
    """A figure with its interval.

    Args:
        figure: None, a float, or a dict of a `value` and maybe `low` and
            `high`.

    Returns:
        `Cell`.
    """
    if not isinstance(figure, dict):
        return Cell(number(figure))
    text = number(figure["value"])
    if figure.get("low") is None or figure.get("high") is None:
        return Cell(text)
    return Cell(text, f"[{number(figure['low'])}, {number(figure['high'])}]")


def quality(entry):
    """Rows of metrics; columns of samples and test split, by extractor.

    Args:
        entry: dict, `quality` of the report.

    Returns:
        `Table`.
    """
    groups = []
    columns: list[tuple] = []
    for name, extractor in entry["extractors"].items():
        sets = {"samples": extractor["metrics"]}
        if extractor.get("test_split"):
            sets["test split"] = extractor["test_split"]
        groups.append((name, len(sets)))
        columns += sets.items()
    names = dict.fromkeys(name for _, figures in columns for name in figures)
    rows = []
    for name in names:
        cells = [cell(figures.get(name)) for _, figures in columns]
        rows.append(Row(metric(name).label, cells, metric(name).better))
    titles = [title for title, _ in columns]
    return Table("Metrics by features", "metric", titles, rows, groups)


def representation(entry):
    """Rows of accuracies; columns of networks.

    Args:
        entry: dict, `representation` of the report.

    Returns:
        `Table`.
    """
    networks = {
        name.replace("_", " "): _accuracies(figures)
        for name, figures in entry.items()
        if isinstance(figures, dict)
    }
    names = dict.fromkeys(name for one in networks.values() for name in one)
    rows = [
        Row(name, [cell(one.get(name)) for one in networks.values()], "higher")
        for name in names
    ]
    return Table("Accuracy of latents", "classifier", list(networks), rows)


def detection(entry, name):
    """Rows of sets, columns of scores; a row's best figures are marked.

    Args:
        entry: dict, `ood` of the report.
        name: str. The metric.

    Returns:
        `Table`.
    """
    known, scores = metric(name), list(entry["scores"])
    pick = {"lower": min, "higher": max}[known.better]
    rows = []
    for spec, one in entry["sets"].items():
        figures = [one["detection"].get(s, {}).get(name) for s in scores]
        rows.append(Row(spec, _marked(figures, pick)))
    caption = f"{known.label}, {known.better} is better"
    return Table(caption, "set", scores, rows)


def flagged(entry):
    """Rows of sets, and the share of each above the calibrated threshold.

    Args:
        entry: dict, `calibration` of the report.

    Returns:
        `Table`.
    """
    rows = [
        Row(name, [Cell(share(value))])
        for name, value in entry["flagged"].items()
    ]
    caption = "Share of images above the threshold"
    return Table(caption, "set", [metric("flagged").label.lower()], rows)


def _accuracies(figures):
    """Figures of one network by names for readers."""
    named = {f"{k}-NN": x for k, x in figures.get("knn", {}).items()}
    if "linear_probe" in figures:
        named["linear probe"] = figures["linear_probe"]
    return named


def _marked(figures, pick):
    """Cells of figures, of which those of the picked value are marked."""
    values = [value_of(figure) for figure in figures]
    best = pick((x for x in values if x is not None), default=None)
    return [
        cell(figure)._replace(best=value is not None and value == best)
        for figure, value in zip(figures, values)
    ]


def value_of(figure):
    """The value of a figure: itself, or what a dict has as `value`."""
    return figure["value"] if isinstance(figure, dict) else figure
