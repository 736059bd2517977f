"""Tables and figures of the study, of the cells that are there.

  python benchmarks/study_report.py

Reads study.jsonl and study_peers.json in benchmarks/results, and writes there
study.json and study.md, and study.png, study_arms.png and study_cifar16.png in
docs/images. Cells that the groups name and that were not run are named as
missing.
"""

import json

import numpy as np
import study
import study_grid
from matplotlib import pyplot as plt

RESULTS = study_grid.HERE / "results"
IMAGES = study.ROOT / "docs" / "images"
_RESAMPLES, _ENDS = 10_000, (2.5, 97.5)
_FIGURES = ("frechet_distance", "precision", "coverage")
_COLORS = {study_grid.PLAIN: "tab:gray", study_grid.CLEL: "tab:blue"}


def main():
    found = study.rows()
    primary, arms, cifar16 = (
        of_arms(group(), found)
        for group in (
            study_grid.primary,
            _arms,
            study_grid.cifar16,
        )
    )
    confirmation = of_arms(study_grid.confirmation(), found)
    comparisons = {
        name: comparison(*map(whole, sides))
        for name, sides in _compared(primary, confirmation, cifar16).items()
        if all(map(whole, sides))
    }
    record = {"missing": missing(found), "comparisons": comparisons}
    (RESULTS / "study.json").write_text(json.dumps(record, indent=2) + "\n")
    text = "\n\n".join(
        [
            *(f"### {name}\n\n{_told(x)}" for name, x in comparisons.items()),
            "### Tuning\n\n"
            + tuning_table(study_grid.tuning(), study_grid.CANDIDATES, found),
            "### Both sides\n\n" + arms_table(primary, found),
            "### Arms\n\n" + arms_table(arms, found),
            "### CIFAR-10 at 16x16, tuning\n\n"
            + tuning_table(
                study_grid.cifar16_tuning(), study_grid.CIFAR_CANDIDATES, found
            ),
            "### CIFAR-10 at 16x16\n\n" + arms_table(cifar16, found),
            "### Classes left out\n\n" + classes_table(found),
            "### Search\n\n" + search_table(found),
            "### Confirmation\n\n" + arms_table(confirmation, found),
            "### Peers on digits\n\n" + peers_table("digits"),
            "### Peers on CIFAR-10 at 16x16\n\n" + peers_table("cifar16"),
            _told_missing(record["missing"]),
        ]
    )
    (RESULTS / "study.md").write_text(text + "\n")
    for name, drawn in (
        ("study", primary),
        ("study_arms", arms),
        ("study_cifar16", cifar16),
    ):
        rows = {arm: whole(rows) for arm, rows in drawn.items()}
        if any(rows.values()):
            draw(rows, IMAGES / f"{name}.png")
    print(text)


def _arms():
    """The descriptive arms, and both sides of the comparison on their seeds."""
    seeds = study_grid.DESCRIPTIVE_SEEDS
    sides = [cell for cell in study_grid.primary() if cell.seed in seeds]
    return sides + study_grid.descriptive()


def _compared(primary, confirmation, cifar16):
    """Rows of both sides of each comparison: dict from names to pairs."""
    plain, clel = primary.values()
    improved = confirmation[study_grid.IMPROVED]
    improved_plain = confirmation[study_grid.IMPROVED_PLAIN]
    cifar16_plain, cifar16_clel, _ = cifar16.values()
    return {
        "The plain model against CLEL": (plain, clel),
        "CLEL against the recipe of the search": (clel, improved),
        "The plain model against the recipe of the search": (plain, improved),
        "The recipe of the search, without guidance and with it": (
            improved_plain,
            improved,
        ),
        "The plain model against CLEL, CIFAR-10 at 16x16": (
            cifar16_plain,
            cifar16_clel,
        ),
    }


def of_arms(cells, found):
    """Rows of a group by arm: dict from names to lists of rows."""
    arms = {}
    for cell in cells:
        rows = arms.setdefault(cell.arm, [])
        if cell.key in found:
            rows.append(found[cell.key])
    return arms


def whole(rows):
    """Rows of runs that came to their end, as those that diverged did not."""
    return [row for row in rows if "diverged" not in row]


def comparison(first, second):
    """Differences of one side to another, with bootstrap intervals.

    Args:
        first: list of rows of finished cells.
        second: likewise.

    Returns:
        dict for JSON: of each figure the difference of the means, the second's
        less the first's, with the ends of its 95% interval, and "time_to_end":
        the share of the first side's time after which the second's distance is
        at most the first's last mean one, by seed; None where it never is.
    """
    generator = np.random.default_rng(0)
    result = {"seeds": [len(first), len(second)]}
    for name in _FIGURES:
        a, b = (last(rows, name) for rows in (first, second))
        resampled = [_resampled_means(x, generator) for x in (a, b)]
        low, high = np.percentile(resampled[1] - resampled[0], _ENDS)
        result[name] = {
            "means": [float(a.mean()), float(b.mean())],
            "difference": float(b.mean() - a.mean()),
            "low": float(low),
            "high": float(high),
        }
    goal = result["frechet_distance"]["means"][0]
    end = np.mean([seconds(row)[-1] for row in first])
    result["time_to_end"] = [
        None if (time := time_to(row, goal)) is None else float(time / end)
        for row in second
    ]
    return result


def _resampled_means(values, generator):
    return generator.choice(values, (_RESAMPLES, len(values))).mean(1)


def last(rows, name):
    """A figure of rows after their last step, as an array."""
    return np.array([row["curve"][-1][name] for row in rows])


def seconds(row):
    """Seconds of training at the points of a row's curve."""
    rate = study_grid.seconds_per_step(row["arm"], row["setting"])
    return _steps(row) * rate


def time_to(row, goal):
    """Seconds until a row's Frechet distance is at most `goal`, or None.

    Between two points the distance's logarithm is taken as linear in the
    logarithm of time.
    """
    times = seconds(row)
    values = np.array([p["frechet_distance"] for p in row["curve"]])
    reached = np.flatnonzero(values <= goal)
    if not len(reached):
        return None
    after = reached[0]
    if after == 0:
        return times[0]
    pair = slice(after - 1, after + 1)
    x, y = np.log(times[pair]), np.log(values[pair])
    return np.exp(np.interp(-np.log(goal), -y, x))


def missing(found):
    """Names of the cells that were not run: dict from groups to lists."""
    return {
        name: [cell.name for cell in group() if cell.key not in found]
        for name, group in study_grid.GROUPS.items()
        if group is not study_grid.short
    }


def tuning_table(cells, candidates, found):
    """Frechet distance, precision and coverage of each candidate.

    Args:
        cells: list of `study_grid.Cell`.
        candidates: dict from names to changes.
        found: dict from keys to rows.
    """
    lines = [["change", *_COLORS]]
    lines.append(["---"] * len(lines[0]))
    for candidate, changes in candidates.items():
        line = [", ".join(f"`{c}`" for c in changes) or "none"]
        for arm in _COLORS:
            name = study_grid.changed(arm, candidate)
            keys = [cell.key for cell in cells if cell.arm == name]
            rows = [found[key] for key in keys if key in found]
            line.append(
                " / ".join(f"{last(rows, x).mean():.2f}" for x in _FIGURES)
                if rows
                else "not run"
            )
        lines.append(line)
    return _markdown(lines)


def search_table(found):
    """What was changed of CLEL in each cell of the search, and its figures."""
    lines = [["CLEL with", "Fréchet", "precision", "coverage", "1-NN"]]
    lines.append(["---"] * len(lines[0]))
    for cell in study_grid.search() + study_grid.combinations():
        row = found.get(cell.key)
        if row is None or "diverged" in row:
            told = "diverged" if row else "not run"
            lines.append([_settings(cell), *[told] * 4])
            continue
        figures = [f"{last([row], name)[0]:.2f}" for name in _FIGURES]
        lines.append([_settings(cell), *figures, f"{row['knn']:.3f}"])
    return _markdown(lines)


def _settings(cell):
    """What a cell's recipe has of its own, without the parts' names."""
    name, _, candidate = cell.arm.partition("+")
    arm = study_grid.ARMS[name]
    changes = [*study_grid.CANDIDATES[candidate], *arm.changes]
    values = dict(change.split("=", 1) for change in changes)
    told = []
    for setting, value in values.items():
        if value.startswith("{"):
            schedule = json.loads(value)["config"]
            start = schedule["initial_learning_rate"]
            value = f"{start:g} to {start * schedule['alpha']:g}"
        told.append(f"{setting.rpartition('.')[2]} {value}")
    if arm.model_class:
        told.append("a quarter of the views")
    return ", ".join(told)


def arms_table(arms, found):
    """A row an arm: figures with their smallest and largest, costs, failures.

    Args:
        arms: dict from names to lists of rows.
        found: dict from keys to rows, for those with a class left out.
    """
    lines = [
        [
            "arm",
            "seeds",
            "Fréchet",
            "precision",
            "coverage",
            "1-NN",
            "AUROC",
            "failed",
            "beta / 2E",
            "s a step",
            "MB",
        ]
    ]
    lines.append(["---"] * len(lines[0]))
    left_out = of_arms(study_grid.classes(), found)
    for arm, rows in arms.items():
        name = arm.partition("+")[0]
        count, failed = len(rows), sum(row["failed"] for row in rows)
        rows = whole(rows)
        if not rows:
            told = "diverged" if count else "not run"
            empty = [*[told] * 3, "", "", str(failed), "", "", ""]
            lines.append([name, str(count), *empty])
            continue
        auroc = "–"
        if arm in left_out and rows[0]["setting"] == "digits":
            others = whole(left_out[arm])
            scores = [row["auroc"]["own"] for row in others]
            auroc = _spread(scores) if scores else "not run"
        knn = [row["knn"] for row in rows if row["knn"] is not None]
        lines.append(
            [
                name,
                str(count),
                *(_spread(last(rows, x)) for x in _FIGURES),
                _spread(knn) if knn else "–",
                auroc,
                str(failed),
                _spread([r["beta"] / (2 * r["energy"]) for r in rows]),
                f"{study_grid.seconds_per_step(arm, rows[0]['setting']):.3f}",
                f"{max(row['peak_mb'] for row in rows)}",
            ]
        )
    return _markdown(lines)


def classes_table(found):
    """AUROC of each class that a side has not seen, and the sides' difference.

    The interval is of the classes: they are resampled in pairs.
    """
    plain, clel = (
        {
            cell.left_out: found[cell.key]["auroc"]
            for cell in study_grid.classes()
            if cell.arm == study_grid.tuned(side)
            and "auroc" in found.get(cell.key, {})
        }
        for side in (study_grid.PLAIN, study_grid.CLEL)
    )
    labels = [label for label in plain if label in clel]
    if not labels:
        return "Not run."
    scores = np.array(
        [
            [
                plain[label]["own"],
                clel[label]["marginal_energy"],
                clel[label]["own"],
            ]
            for label in labels
        ]
    )
    lines = [["class", "plain", "CLEL, marginal energy", "CLEL, joint energy"]]
    lines.append(["---"] * len(lines[0]))
    for label, values in zip([*labels, "mean"], [*scores, scores.mean(0)]):
        lines.append([str(label), *(f"{value:.3f}" for value in values)])
    differences = scores[:, 2] - scores[:, 0]
    means = _resampled_means(differences, np.random.default_rng(0))
    low, high = np.percentile(means, _ENDS)
    return (
        f"{_markdown(lines)}\n\nCLEL's joint energy less the plain model's "
        f"energy: {differences.mean():+.3f} (95% interval {low:+.3f} to "
        f"{high:+.3f})."
    )


def peers_table(setting):
    """A row a peer."""
    rows = json.loads((RESULTS / "study_peers.json").read_text())
    rows = [row for row in rows if row["setting"] == setting]
    lines = [["peer", "Fréchet", "precision", "coverage", "seconds"]]
    lines.append(["---"] * len(lines[0]))
    for peer in dict.fromkeys(row["peer"] for row in rows):
        mine = [row for row in rows if row["peer"] == peer]
        figures = [_spread([row[x] for row in mine]) for x in _FIGURES]
        lines.append(
            [peer, *figures, f"{np.mean([r['seconds'] for r in mine]):.1f}"]
        )
    return _markdown(lines)


def draw(arms, path):
    """Draws every seed's figures against time and iterations, and their means.

    Args:
        arms: dict from names to lists of rows of runs that came to their end.
        path: `pathlib.Path` of the picture.
    """
    figure, axes = plt.subplots(
        2, 3, figsize=(11, 6.4), sharey="col", layout="constrained"
    )
    scales = {"seconds of training on one core": seconds, "steps": _steps}
    for row_of_axes, (label, scale) in zip(axes, scales.items()):
        for axis, name in zip(row_of_axes, _FIGURES):
            for arm, color in zip(arms, _colors(arms)):
                _draw_arm(axis, arms[arm], scale, name, color)
            axis.set_xlabel(label)
    for axis, name in zip(axes[0], _FIGURES):
        axis.set_title(name.replace("_", " "))
        if name == "frechet_distance":
            axis.set_yscale("log")
        else:
            axis.set_ylim(0, 1)
    lines = [
        plt.Line2D([], [], color=color, lw=2, label=arm.partition("+")[0])
        for arm, color in zip(arms, _colors(arms))
    ]
    figure.legend(handles=lines, loc="outside lower center", ncols=5)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _draw_arm(axis, rows, scale, name, color):
    for row in rows:
        values = [point[name] for point in row["curve"]]
        axis.plot(scale(row), values, color=color, lw=0.7, alpha=0.5)
    if rows:
        values = [[point[name] for point in row["curve"]] for row in rows]
        axis.plot(scale(rows[0]), np.mean(values, axis=0), color=color, lw=2)


def _steps(row):
    return np.array([point["step"] for point in row["curve"]])


def _colors(arms):
    others = iter(plt.get_cmap("tab20").colors[2:])
    names = (arm.partition("+")[0] for arm in arms)
    return [_COLORS.get(name) or next(others) for name in names]


def _told(result):
    """A comparison as a table, and what its times say."""
    lines = [["", "first", "second", "difference", "95% interval"]]
    lines.append(["---"] * len(lines[0]))
    for name in _FIGURES:
        x = result[name]
        lines.append(
            [
                name.replace("_", " "),
                *(f"{mean:.3f}" for mean in x["means"]),
                f"{x['difference']:+.3f}",
                f"{x['low']:+.3f} to {x['high']:+.3f}",
            ]
        )
    shares = result["time_to_end"]
    reached = sorted(x for x in shares if x is not None)
    told = ", ".join(f"{x:.0%}" for x in reached) or "none"
    return (
        f"{_markdown(lines)}\n\nThe second reached the first's last mean "
        f"distance in {len(reached)} of {len(shares)} seeds, after these "
        f"shares of its time: {told}."
    )


def _told_missing(names):
    told = [f"{group} {len(cells)}" for group, cells in names.items() if cells]
    if not told:
        return "No cell is missing."
    return f"Cells that were not run, by group: {', '.join(told)}."


def _spread(values):
    """The mean of several seeds, and their smallest and largest value."""
    mean, low, high = (f"{f(values):.2f}" for f in (np.mean, np.min, np.max))
    return f"{mean} ({low} to {high})"


def _markdown(lines):
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    main()
