"""A map of latents: how samples and other images lie among test images."""

import numpy as np
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from clel_tf.trainers.report.picture import COLORS
from clel_tf.trainers.report.picture import GREY
from clel_tf.trainers.report.picture import of_plot

_MOST_TEST, _MOST_SAMPLES, _MOST_OTHERS = 750, 300, 450  # t-SNE takes seconds
_LEAST = 10  # points that make a map
_PERPLEXITY = 30.0  # scikit-learn's
_MOST_CLASSES = 30  # whose names fit on the map
_SIZE = 308, 308  # pixels of the page


def pictures(arrays):
    """Draws one map for each set, all of the same places.

    Args:
        arrays: dict of arrays, of which `latents/NAME` `[n, d]` are drawn, and
            test images coloured by `labels/test`, integers `[n]`, if there.

    Returns:
        List of `Picture`s; empty without latents of test images.
    """
    latents = {
        name.removeprefix("latents/"): values
        for name, values in arrays.items()
        if name.startswith("latents/")
    }
    if "test" not in latents:
        return []
    rows = {name: _some(name, latents) for name in latents}
    if sum(map(len, rows.values())) < _LEAST or latents["test"].shape[1] < 2:
        return []
    places = embed({name: latents[name][rows[name]] for name in latents})
    test = places.pop("test")
    labels = arrays.get("labels/test")
    if labels is not None:
        labels = labels[rows["test"]]
    drawn = [
        of_plot(
            lambda axis: draw_classes(axis, test, labels),
            *_SIZE,
            f"Map of the latents of {len(test)} test images",
            "test images" + (", by class" if labels is not None else ""),
            kind="png",
        )
    ]
    for name, points in places.items():
        drawn.append(
            of_plot(
                lambda axis, points=points: draw_among(axis, points, test),
                *_SIZE,
                f"{len(points)} latents of {name} on the map of test images",
                name,
                kind="png",
            )
        )
    return drawn


def embed(sets):
    """Finds places in two dimensions for the points of all sets together.

    Args:
        sets: dict of float arrays `[n, d]`, d >= 2, finite.

    Returns:
        Dict of float arrays `[n, 2]` in [0, 1]; a function of the points.

    Reference:
        [van der Maaten, Hinton: Visualizing Data using t-SNE, JMLR 2008](
        https://jmlr.org/papers/v9/vandermaaten08a.html)
    """
    points = np.concatenate(list(sets.values()))
    method = TSNE(
        perplexity=min(_PERPLEXITY, (len(points) - 1) / 3),
        init="pca",
        random_state=0,
    )
    ends = np.cumsum([len(x) for x in sets.values()])
    # On a busy machine more threads wait for each other, many times as long.
    with threadpool_limits(1):
        places = method.fit_transform(points)
    places = (places - places.min(axis=0)) / np.ptp(places, axis=0)
    return dict(zip(sets, np.split(places, ends[:-1])))


def draw_classes(axis, places, labels=None):
    """Draws points in the colours of classes, and the classes' names.

    Args:
        axis: `matplotlib.axes.Axes`.
        places: float array `[n, 2]`.
        labels: integer array `[n]`, or None.
    """
    if labels is None:
        labels = np.zeros(len(places), int)
    classes = np.unique(labels)
    for i, label in enumerate(classes):
        points = places[labels == label]
        color = COLORS[i % len(COLORS)]
        axis.scatter(*points.T, s=7, color=color, linewidths=0)
    # Names too, as colours alone tell few classes apart and some eyes none.
    if 1 < len(classes) <= _MOST_CLASSES:
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75}
        for label in classes:
            place = np.median(places[labels == label], axis=0)
            axis.text(*place, int(label), bbox={**box, "pad": 1}, ha="center")
    _frame(axis)


def draw_among(axis, places, others):
    """Draws points as crosses among others, which are grey.

    Args:
        axis: `matplotlib.axes.Axes`.
        places: float array `[n, 2]`.
        others: float array `[m, 2]`.
    """
    axis.scatter(*others.T, s=7, color=GREY, alpha=0.5, linewidths=0)
    axis.scatter(*places.T, s=14, color="#bd1f01", marker="x", linewidths=0.8)
    _frame(axis)


def _frame(axis):
    """The same for all panels, so that places can be compared."""
    axis.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    axis.set(xticks=[], yticks=[])
    axis.spines[["top", "right"]].set_visible(True)


def _some(name, latents):
    """Rows of a set, spread over it evenly, whose latents are finite."""
    others = max(len(latents.keys() - {"test", "samples"}), 1)
    known = {"test": _MOST_TEST, "samples": _MOST_SAMPLES}
    most = known.get(name, _MOST_OTHERS // others)
    rows = np.flatnonzero(np.isfinite(latents[name]).all(axis=1))
    if len(rows) > most:
        rows = rows[np.linspace(0, len(rows) - 1, most).astype(int)]
    return rows
