"""The tables and pictures of steered digits."""

import pathlib

import matplotlib
import numpy as np

from clel_tf.images import save_rows
from clel_tf.samplers import energies

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

IMAGES = pathlib.Path(__file__).resolve().parent.parent / "docs" / "images"
_SHOWN = 12


def tables(results):
    """All figures as Markdown, means and ranges over seeds."""
    return "\n\n".join(
        [_few_labels(results), _ratios(results), _shares(results)]
        + [_attributes(results), _restoration(results)]
    )


def spread(values):
    """A mean, and the extremes that it is of."""
    values = [float(v) for v in values]
    return f"{np.mean(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def _table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, x)) + " |" for x in lines)


def _columns(rows_of_seeds, names):
    return [spread([row[name] for row in rows_of_seeds]) for name in names]


def _few_labels(results):
    names = ("accuracy", "coverage", "coverage_of_real")
    rows = [
        [entry["labels"] or "all", entry["ratio"]]
        + _columns([r["few_labels"][i] for r in results], names)
        for i, entry in enumerate(results[0]["few_labels"])
    ]
    head = ["labels a class", "ratio", "as asked", "coverage"]
    head += ["of as many real"]
    return _table(head, rows)


def _ratios(results):
    names = ("accuracy", "coverage")
    rows = [
        [f"{entry['ratio']}", kind]
        + _columns([r[name][i] for r in results], names)
        for name, kind in (("ratios", "16"), ("one_candidate", "1"))
        for i, entry in enumerate(results[0][name])
    ]
    return _table(["ratio", "candidates", "as asked", "coverage"], rows)


def _shares(results):
    rows = []
    for name, classes in (
        ("unguided", (3, 5, 8)),
        ("three_or_five", (3, 5, 8)),
        ("three_or_five_soft", (3, 5, 8)),
        ("not_eight", (3, 5, 8)),
        ("neither_three_nor_five", (3, 5, 8)),
    ):
        shares = [spread([r[name][c] for r in results]) for c in classes]
        rows.append([name.replace("_", " "), *shares])
    return _table(["energy", "3", "5", "8"], rows)


def _attributes(results):
    rows = []
    for name in results[0]["and"]:
        each = [r["and"][name] for r in results]
        accuracy = "–"
        if "with_accuracy" in each[0]:
            accuracy = spread([e["with_accuracy"] for e in each])
        rows.append(
            [name, spread([r["probes"][name] for r in results])]
            + _columns(each, ("with", "without"))
            + [accuracy]
        )
    head = ["attribute", "linear probe", "with", "without", "class as asked"]
    return _table(head, rows)


def _restoration(results):
    rows = []
    for task in (
        "inpaint_right",
        "inpaint_left",
        "denoise",
        "super_resolution",
    ):
        each = [r[task] for r in results]
        rows.append([task, "ours"] + _columns(each, _OURS))
        if "with_classes" in each[0]:
            guided = [e["with_classes"] for e in each]
            rows.append([task, "ours, of some class"] + _columns(guided, _OURS))
            lowest = spread([e["lowest_energy_accuracy"] for e in each])
            rows.append([task, "real half of lowest energy", lowest, "–", "–"])
        for name, value in each[0].items():
            if isinstance(value, dict) and "psnr" in value:
                figures = [e[name] for e in each]
                accuracy, psnr = _columns(figures, ("accuracy", "psnr"))
                rows.append(
                    [task, name.replace("_", " "), accuracy, psnr, psnr]
                )
    head = ["task", "by", "label right", "PSNR of one", "PSNR of the mean"]
    return _table(head, rows)


_OURS = ("samples_accuracy", "sample_psnr", "mean_psnr")


def plots(results, model, judge):
    """Writes docs/images/steering_*.png."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    _plot_ratios(results)
    means, _ = energies.class_means(model, judge.x_train, judge.y_train)
    _picture_classes(model, means)
    _picture_compositions(model, means)
    _picture_restoration(model, judge)


def _plot_ratios(results):
    figure, axes = pyplot.subplots(1, 2, figsize=(8, 3), layout="constrained")
    for name, label in (("ratios", "16 candidates"), ("one_candidate", "1")):
        ratios = [entry["ratio"] for entry in results[0][name]]
        for axis, figure_of in zip(axes, ("accuracy", "coverage")):
            values = [[e[figure_of] for e in r[name]] for r in results]
            axis.plot(ratios, np.mean(values, axis=0), "o-", label=label)
            axis.fill_between(
                ratios, np.min(values, 0), np.max(values, 0), alpha=0.2
            )
    real = np.mean([r["ratios"][0]["coverage_of_real"] for r in results])
    axes[1].axhline(real, color="grey", linestyle=":", label="real images")
    for axis, title in zip(axes, ("class as asked", "coverage of the class")):
        axis.set_xscale("log")
        axis.set_ylim(0, 1)
        axis.set_xlabel("strength of guidance, beta / (2 E)")
        axis.set_title(title)
        axis.legend()
    figure.savefig(IMAGES / "steering_ratios.png", dpi=120)


def _picture_classes(model, means):
    images = model.sample(
        10 * _SHOWN,
        energy=model.guidance(np.repeat(means, _SHOWN, axis=0)),
        seed=7,
    )
    groups = np.split(images, 10)
    rows = [(f"class {c}", group) for c, group in enumerate(groups)]
    save_rows(rows, IMAGES / "steering_classes.png")


def _picture_compositions(model, means):
    three, five, eight = (model.guidance(means[c]) for c in (3, 5, 8))
    compositions = {
        "any": energies.Marginal(),
        "3 or 5": three | five,
        "neither 3 nor 5": ~(three | five),
        "3 and 8": three + eight,
    }
    rows = [
        (name, model.sample(_SHOWN, energy=energy, seed=7))
        for name, energy in compositions.items()
    ]
    save_rows(rows, IMAGES / "steering_compositions.png")


def _picture_restoration(model, judge):
    mask = np.zeros((8, 8, 1), bool)
    mask[:, 4:] = True
    rows = []
    for truth in judge.x_test[[1, 3, 10]]:
        given = np.where(mask, 0.5, truth).astype("float32")
        painted = model.sample(
            8, energy=energies.Inpaint(np.asarray(truth), mask), seed=7
        )
        shown = [given[np.newaxis], painted, painted.mean(0, keepdims=True)]
        rows.append(("given, painted, mean, true", [*shown, truth[np.newaxis]]))
    rng = np.random.default_rng(0)
    for truth in judge.x_test[[1, 3]]:
        noisy = (truth + 0.3 * rng.normal(size=truth.shape)).astype("float32")
        restored = model.sample(
            8, energy=energies.DataFidelity(noisy, None, 0.3), seed=7
        )
        shown = [np.clip(noisy, 0, 1)[np.newaxis], restored]
        shown += [restored.mean(0, keepdims=True), truth[np.newaxis]]
        rows.append(("noisy, denoised, mean, true", shown))
    rows = [(caption, np.concatenate(shown)) for caption, shown in rows]
    save_rows(rows, IMAGES / "steering_restoration.png")
