"""A page that shows what chains did."""

import pathlib

import numpy as np
from matplotlib.figure import Figure

from clel_tf.files import new_file
from clel_tf.samplers.diagnostics import summarize

_BLUE, _ORANGE = "#1f5fa8", "#c2571a"
_LABELS = {
    "draws": "draws after warm-up",
    "rhat_energy": "R-hat, energy",
    "ess_energy": "effective draws, energy",
    "rhat_features": "R-hat, worst feature",
    "ess_features": "effective draws, worst feature",
    "acceptance": "acceptance",
    "drift_over_noise": "drift / noise, at the end",
    "saturated": "pixels at 0 or 1, at the end",
    "temperature": "temperature",
}


def plot(trace, path, quality=None, summary=None):
    """Draws a trace on one page: a PNG.

    Energies and displacements are lines, one a chain, under that of the median
    chain; drift is the median chain's, with the middle 80% of chains, against
    the noise; then there are acceptance, or the share of saturated pixels where
    the sampler accepts every step, quality by age, and a table of the summary.
    The file appears at once and whole, or not at all.

    Args:
        trace: `clel_tf.samplers.diagnostics.Trace`.
        path: str or path ending in `.png`, in an existing folder. A file there
            is replaced.
        quality: dict of arrays `(t,)`, as `quality_by_age` gives it, or None.
        summary: dict of floats, as `summarize` gives it, or None for
            `summarize(trace)`; an empty one leaves the table out.

    Raises:
        ImportError: if ArviZ's `arviz-stats` is not installed, for a summary.
        ValueError: if the path does not end in `.png`, or as `summarize`.

    Example:

    >>> import os, tempfile
    >>> from clel_tf.samplers import diagnostics
    >>> from clel_tf.samplers import diagnostics_plot
    >>> keys = clel_tf.random.fold_in(clel_tf.random.as_key(0), tf.range(8))
    >>> trace = diagnostics.trace(
    ...     clel_tf.samplers.SGLD(step_size=0.01, noise_scale=0.02),
    ...     lambda x: 10 * tf.reduce_sum((x - 0.5) ** 2, (1, 2, 3)),
    ...     clel_tf.random.uniform(keys, (4, 4, 1)), keys, num_steps=40)
    >>> quality = diagnostics.quality_by_age(
    ...     trace, lambda x: {"mean": x.mean(), "deviation": x.std()})
    >>> summary = diagnostics.summarize(trace)
    >>> round(summary["temperature"], 6)
    0.02
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "chains.png")
    ...     diagnostics_plot.plot(trace, path, quality, summary)
    ...     os.listdir(folder)
    ['chains.png']
    """
    path = pathlib.Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"Expected a path ending in .png; received: {path}.")
    summary = summarize(trace) if summary is None else summary
    figure = draw(trace, quality or {}, summary)
    with new_file(path) as aside:
        figure.savefig(aside, dpi=120)


def draw(trace, quality, summary):
    """Returns the page as a `matplotlib.figure.Figure`; see `plot`."""
    # No pyplot: nothing that outlives the figure, whatever backend is set.
    figure = Figure(figsize=(13, 7.5), layout="constrained")
    names = [[f"quality: {name}"] for name in quality]
    layout: list = [
        ["energy", "displacement", "drift"],
        ["shares", names or "table", "table"],
    ]
    axes = figure.subplot_mosaic(layout)
    _table(axes.pop("table"), summary)
    for axis in axes.values():
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_xlabel("step")
    _chains(axes["energy"], trace.steps, trace.energy, "energy")
    _chains(
        axes["displacement"],
        trace.steps,
        trace.displacement,
        "displacement of a pixel",
    )
    _drift(axes["drift"], trace)
    _shares(axes["shares"], trace)
    _quality([axes[f"quality: {name}"] for name in quality], trace, quality)
    figure.suptitle(f"{trace.energy.shape[1]} chains, {trace.steps[-1]} steps")
    return figure


def _chains(axis, steps, values, label):
    axis.plot(steps, values, color=_BLUE, linewidth=0.5, alpha=0.25)
    median = np.median(values, axis=1)
    axis.plot(steps, median, color="black", label="median")
    axis.set_ylabel(label)
    if values.min() > 0 and values.max() > 20 * values.min():
        axis.set_yscale("log")
    axis.legend(frameon=False)


def _drift(axis, trace):
    low, median, high = np.quantile(trace.drift, (0.1, 0.5, 0.9), axis=1)
    axis.fill_between(trace.steps, low, high, color=_BLUE, alpha=0.25)
    axis.plot(trace.steps, median, color=_BLUE, label="drift, median")
    axis.plot(trace.steps, trace.noise, color=_ORANGE, label="noise")
    if low.min() > 0 and trace.noise.min() > 0:
        axis.set_yscale("log")
    axis.set_ylabel("root mean square a pixel and step")
    axis.legend(frameon=False)


def _shares(axis, trace):
    if trace.acceptance is not None:
        _chains(axis, trace.steps, trace.acceptance, "acceptance")
        axis.set_yscale("linear")
        axis.set_ylim(-0.02, 1.02)
        return
    saturated = (trace.images <= 0) | (trace.images >= 1)
    pixels = tuple(range(2, saturated.ndim))
    _chains(axis, trace.steps, saturated.mean(axis=pixels), "saturated pixels")


def _quality(axes, trace, quality):
    for axis, (name, values) in zip(axes, quality.items()):
        axis.plot(trace.steps, values, color=_BLUE)
        axis.set_title(name, loc="left", fontsize="medium")
        axis.sharex(axes[-1])
        axis.label_outer()


def _table(axis, summary):
    axis.axis("off")
    if not summary:
        return
    rows = [
        [_LABELS.get(name, name), _as_text(value)]
        for name, value in summary.items()
    ]
    table = axis.table(
        rows,
        loc="center",
        cellLoc="left",
        edges="horizontal",
        colWidths=(0.7, 0.3),
    )
    table.auto_set_font_size(False)
    table.set_fontsize(10)
    table.scale(1, 1.6)


def _as_text(value):
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
