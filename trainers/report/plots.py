"""Curves of a report: of detection, and of chains."""

import numpy as np
from sklearn.metrics import roc_curve

from clel_tf.trainers.report.picture import BLUE
from clel_tf.trainers.report.picture import COLORS
from clel_tf.trainers.report.picture import GREY
from clel_tf.trainers.report.picture import of_plot

_POINTS = 200  # of a curve, about: as many as can be seen
_ROC_SIZE = 232, 232  # pixels of the page
_CHAINS_SIZE = 460, 220
_SINGLE_CHAINS = 6
_CHAINS = {
    "energies": "Energy",
    "gradient_norms": "Norm of the gradient",
    "displacements": "Change of a pixel in a step, root mean square",
    "saturated": "Share of pixels at 0 or 1",
}


def roc_curves(scores, sets, arrays):
    """Draws the curves of all scores, a panel a set.

    Args:
        scores: list of str, names of scores.
        sets: list of str, names of sets.
        arrays: dict of arrays `[n]` named `scores/SCORE/SET`, also of the set
            "test". Curves whose arrays are missing or not finite are left out.

    Returns:
        List of `Picture`s, of the sets that have a curve.
    """
    pictures = []
    for spec in sets:
        pairs = [
            (arrays.get(f"scores/{s}/test"), arrays.get(f"scores/{s}/{spec}"))
            for s in scores
        ]
        curves = [roc(*p) if _finite(*p) else None for p in pairs]
        if any(curve is not None for curve in curves):
            alt = f"ROC curves of telling {spec} from test images"
            pictures.append(
                of_plot(
                    lambda axis, curves=curves: draw_roc(axis, curves),
                    *_ROC_SIZE,
                    alt,
                    spec,
                )
            )
    return pictures


def roc(in_scores, out_scores):
    """Computes points of the ROC curve, as many as can be seen.

    Args:
        in_scores: array `[n]`, finite. Scores of the data's images.
        out_scores: array `[m]`, finite. Scores of other images, the positives.

    Returns:
        Tuple of two arrays, false and true positive rates.
    """
    labels = np.repeat([0, 1], [len(in_scores), len(out_scores)])
    scores = np.concatenate([in_scores, out_scores])
    false, true, _ = roc_curve(labels, scores)
    # Evenly along the curve, each of whose points is on the way to (1, 1).
    way = np.linspace(0, 2, _POINTS)
    seen = np.unique(np.searchsorted(false + true, way).clip(0, len(true) - 1))
    return false[seen], true[seen]


def draw_roc(axis, curves):
    """Draws curves, each in its place's style, over the diagonal.

    Args:
        axis: `matplotlib.axes.Axes`.
        curves: list of tuples as of `roc`, or None for a place left out.
    """
    axis.plot([0, 1], [0, 1], ":", color=GREY, linewidth=1)
    for i, curve in enumerate(curves):
        if curve is not None:
            color, dashes = line_style(i)
            axis.plot(*curve, color=color, linestyle=dashes)
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axis.set(xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    axis.set(xlabel="test images flagged", ylabel="set flagged")


def line_style(i):
    """Colour and dashes, in CSS's words, of the curve of a place."""
    return COLORS[i % len(COLORS)], "solid" if i < len(COLORS) else "dashed"


def chains(arrays):
    """Draws what chains did, a panel a quantity.

    Args:
        arrays: dict of arrays, of which `trace/steps` `[r]` and `trace/NAME`
            `[r, chains]` are drawn.

    Returns:
        List of `Picture`s; empty where there are no chains.
    """
    pictures, steps = [], arrays.get("trace/steps")
    for name, label in _CHAINS.items():
        values = arrays.get(f"trace/{name}")
        if values is not None:
            values = values[:, np.isfinite(values).all(axis=0)]
        if values is None or not values.size:
            continue
        median = np.median(values, axis=1)
        alt = (
            f"{label} of {values.shape[1]} chains over {steps[-1]} steps; "
            f"the median goes from {median[0]:.3g} to {median[-1]:.3g}"
        )
        pictures.append(
            of_plot(
                lambda axis, values=values: draw_chains(axis, steps, values),
                *_CHAINS_SIZE,
                alt,
                label,
            )
        )
    return pictures


def draw_chains(axis, steps, values):
    """Draws the median of chains, the middle 50% and 90%, and a few of them.

    Args:
        axis: `matplotlib.axes.Axes`.
        steps: array `[r]`.
        values: array `[r, chains]`, finite.
    """
    # Not a line for each: the page would hold megabytes of them.
    lowest, low, median, high, highest = np.quantile(
        values, (0.05, 0.25, 0.5, 0.75, 0.95), axis=1
    )
    axis.fill_between(steps, lowest, highest, color=BLUE, alpha=0.15, lw=0)
    axis.fill_between(steps, low, high, color=BLUE, alpha=0.25, lw=0)
    axis.plot(steps, values[:, :_SINGLE_CHAINS], color=BLUE, lw=0.5, alpha=0.6)
    axis.plot(steps, median, color="black", lw=1.3)
    if values.min() > 0 and values.max() > 20 * values.min():
        axis.set_yscale("log")
    axis.set_xlabel("step")


def _finite(*arrays):
    return all(x is not None and np.isfinite(x).all() for x in arrays)
