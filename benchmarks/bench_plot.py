"""A picture of the benchmark's chains: the time of a Langevin step."""

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

LABELS = {
    ("clel_tf", "graph"): "clel_tf",
    ("clel_tf", "xla"): "clel_tf, XLA",
    ("torch", "eager"): "PyTorch, as the reference",
    ("torch", "channels_last"): "PyTorch, channels_last",
    ("torch", "compile"): "PyTorch, torch.compile",
}
COLORS = {
    ("clel_tf", "float32"): "#1f5fa8",
    ("clel_tf", "bfloat16"): "#7fb0e3",
    ("torch", "float32"): "#c2571a",
    ("torch", "bfloat16"): "#f0ab7c",
}


def plot(results, path):
    """Draws bars of each network's variants, and the convolutions' ceiling.

    Args:
        results: dict, as `bench` writes it. Variants that were not measured
            are left out; XLA's bars may run out of the picture.
        path: path of the PNG to write.
    """
    networks = _first_batches(results["chains"]["rows"])
    variants = [
        (library, mode, dtype)
        for dtype in ("float32", "bfloat16")
        for library, mode in LABELS
        if any((library, mode, dtype) in rows for rows in networks.values())
    ]
    figure, axes = pyplot.subplots(
        ncols=len(networks),
        sharey=True,
        squeeze=False,
        figsize=(3 + 2.6 * len(networks), 1.2 + 0.3 * len(variants)),
        layout="constrained",
    )
    for axis, ((name, batch), rows) in zip(axes[0], networks.items()):
        _bars(axis, variants, rows)
        axis.set_title(f"{name}, batch {batch}")
        axis.set_xlabel("milliseconds a step")
    axes[0, 0].set_yticks(range(len(variants)), map(_label, variants))
    axes[0, 0].invert_yaxis()
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles[:1], names[:1], loc="outside lower center")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _first_batches(rows):
    """Rows by network and variant, of each network's first batch size."""
    batches, networks = {}, {}
    for row in rows:
        network, batch = row["network"], row["batch"]
        if batches.setdefault(network, batch) == batch:
            variant = row["library"], row["mode"], row["dtype"]
            networks.setdefault((network, batch), {})[variant] = row[
                "milliseconds_per_step"
            ]
    return networks


def _bars(axis, variants, rows):
    limit = 1.3 * max(
        spread["median"]
        for (_, mode, _), spread in rows.items()
        if mode != "xla"
    )
    for place, (library, mode, dtype) in enumerate(variants):
        spread = rows.get((library, mode, dtype))
        if spread is not None:
            median = spread["median"]
            errors = [[median - spread["low"]], [spread["high"] - median]]
            axis.barh(place, median, color=COLORS[library, dtype], xerr=errors)
            _write(axis, place, spread, limit)
    _ceilings(axis, variants, rows)
    axis.set_xlim(0, limit)
    axis.spines[["top", "right"]].set_visible(False)


def _write(axis, place, spread, limit):
    """Writes a median beside its bar, or where the bar leaves the picture."""
    median, style = f"{spread['median']:.3g}", {"va": "center", "size": "small"}
    if spread["median"] < limit:
        axis.text(spread["high"], place, f" {median}", **style)
    else:
        text = f"{median} \N{RIGHTWARDS ARROW} "
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        axis.text(limit, place, text, ha="right", bbox=box, **style)


def _ceilings(axis, variants, rows):
    """Lines across the bars of a dtype, at the time of its convolutions."""
    dtypes = np.array([dtype for *_, dtype in variants])
    for dtype in dict.fromkeys(dtypes):
        spread = rows.get(("convolutions", "ceiling", dtype))
        if spread is not None:
            places = np.flatnonzero(dtypes == dtype)
            axis.vlines(
                spread["median"],
                places[0] - 0.5,
                places[-1] + 0.5,
                color="black",
                linestyles="dashed",
                label="its convolutions alone, in the fastest library",
            )


def _label(variant):
    library, mode, dtype = variant
    return f"{LABELS[library, mode]}, {dtype}"
