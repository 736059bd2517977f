"""Energies of a report's sets of images, as histograms over one axis."""

import numpy as np

from clel_tf.trainers.report.picture import BLUE
from clel_tf.trainers.report.picture import GREY
from clel_tf.trainers.report.picture import of_plot
from clel_tf.trainers.report.tables import Cell
from clel_tf.trainers.report.tables import Row
from clel_tf.trainers.report.tables import Table
from clel_tf.trainers.report.tables import cell
from clel_tf.trainers.report.tables import number

_OWN = ("train", "test", "samples")  # which the axis has to tell apart
_FAR = 4  # times as far as these sets reach, the axis ends
_BINS = 96
_SIZE = 384, 40  # pixels of the page
_SIDES = 0.05, 0.9  # where the axis begins, and its width, of the picture's


def table(entries, arrays):
    """Draws a row for each set: its histogram, over that of training images.

    Args:
        entries: dict, `energies` of the report.
        arrays: dict of arrays, of which those `energies/NAME` are drawn.

    Returns:
        `Table`; its last row has the axis, which all rows share.
    """
    energies = {
        name: _finite(arrays[f"energies/{name}"])
        for name in entries
        if f"energies/{name}" in arrays
    }
    energies = {name: x for name, x in energies.items() if x.size}
    limits = axis_limits(energies)
    rows = []
    for name, figures in entries.items():
        drawn = Cell()
        if name in energies:
            drawn = Cell(picture=_histogram(name, energies, limits))
        count = Cell(f"{figures['n']:,}")
        median = cell({**figures, "value": figures["median"]})
        rows.append(Row(name, [drawn, median, cell(figures["mean"]), count]))
    if energies:
        axis = of_plot(
            lambda axis: _draw_axis(axis, limits),
            *_SIZE,
            f"Axis from {number(limits[0])} to {number(limits[1])}",
        )
        rows.append(Row("energy", [Cell(picture=axis), *[Cell()] * 3]))
    columns = ["histogram", "median [5%, 95%]", "mean", "images"]
    return Table("Energies of sets", "set", columns, rows)


def axis_limits(energies):
    """Where an axis of energies ends, that shows all sets if it can.

    It shows 99% of each set, but goes no farther than four times the spread of
    training images, test images and samples, so that these can be told apart
    beside noise whose energies are a hundred times theirs.

    Args:
        energies: dict of arrays `[n]`, n >= 1, finite.

    Returns:
        Tuple of two floats; None where there are no sets.
    """
    if not energies:
        return None
    ends = {
        name: np.quantile(values.astype("float64"), (0.005, 0.995))
        for name, values in energies.items()
    }
    own = [ends[name] for name in _OWN if name in ends] or [*ends.values()]
    low, high = np.min(own), np.max(own)
    room = _FAR * (high - low) or 1.0
    low = max(np.min([*ends.values()]), low - room)
    high = min(np.max([*ends.values()]), high + room)
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def draw_histogram(axis, values, limits, others=None):
    """Draws a histogram as high as the axis, over another set's outline.

    Args:
        axis: `matplotlib.axes.Axes`.
        values: array `[n]`, finite. Those beyond the limits are counted in the
            outermost bars.
        limits: tuple of two floats.
        others: array like `values`, or None.
    """
    low, high = limits
    bins = np.linspace(low, high, _BINS + 1)
    styles = [(values, {"fill": True, "color": BLUE, "alpha": 0.75})]
    if others is not None:
        styles.append((others, {"color": "#3b444d", "linewidth": 0.7}))
    for one, style in styles:
        counts, _ = np.histogram(np.clip(one, *limits), bins)
        axis.stairs(counts / counts.max(), bins, **style)
    axis.axhline(0.0, color=GREY, linewidth=0.7)
    axis.set_yticks([])
    axis.set_xticks([])
    axis.set_axis_off()
    _place(axis, limits, 0.0, 1.0)


def _histogram(name, energies, limits):
    others = energies.get("train") if name != "train" else None
    low, median, high = np.quantile(energies[name], (0.05, 0.5, 0.95))
    alt = (
        f"Histogram of the energies of {name}: median {number(median)}, "
        f"nine tenths from {number(low)} to {number(high)}"
    )
    return of_plot(
        lambda axis: draw_histogram(axis, energies[name], limits, others),
        *_SIZE,
        alt,
    )


def _draw_axis(axis, limits):
    axis.set_yticks([])
    axis.spines["left"].set_visible(False)
    _place(axis, limits, 0.9, 0.05)


def _place(axis, limits, bottom, height):
    """Puts all rows' axes above each other, whatever their labels."""
    left, width = _SIDES
    axis.set_position([left, bottom, width, height])
    axis.set_xlim(limits)


def _finite(values):
    """The finite ones, as chains that diverged have no energy."""
    values = np.asarray(values)
    return values[np.isfinite(values)]
