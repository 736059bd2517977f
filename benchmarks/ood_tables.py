"""Tables of `ood.py`."""

import numpy as np
import ood_cases

TIE = 0.01


def tables(results):
    """Markdown: choices, AUROC by set, and the best score against baselines.

    Figures are means over the seeds; intervals of differences reach from the
    lowest end of the seeds' 95% intervals to the highest.
    """
    rows, chosen = results["rows"], results["chosen"]
    names = list(dict.fromkeys(row["set"] for row in rows))
    by_set = {n: [row for row in rows if row["set"] == n] for n in names}
    return "\n".join(
        [
            _choices(chosen),
            _figures(by_set, ood_cases.OURS),
            _figures(by_set, ood_cases.BASELINES),
            _differences(by_set, chosen["best"]),
        ]
    )


def _choices(chosen):
    rows = [
        [
            family,
            ", ".join(f"{k} = {v}" for k, v in options.items()),
            f"{chosen['validation'][family]:.3f}",
        ]
        for family, options in chosen["options"].items()
    ]
    return _table(["score", "chosen", "validation"], rows)


def _figures(by_set, families):
    rows = []
    for name, cases in by_set.items():
        means = [_mean(cases, family) for family in families]
        cells = [f"{m:.3f}" for m in means]
        place = int(np.argmax(means))
        cells[place] = f"**{cells[place]}**"
        rows.append([name, *cells])
    return _table(["AUROC", *families], rows)


def _differences(by_set, best):
    rows, ties, wins = [], 0, 0
    for name, cases in by_set.items():
        rival = max(ood_cases.BASELINES, key=lambda f: _mean(cases, f))
        difference = _mean(cases, best) - _mean(cases, rival)
        ends = [case["difference"][rival] for case in cases]
        low = min(end["low"] for end in ends)
        high = max(end["high"] for end in ends)
        wins += difference > TIE
        ties += abs(difference) <= TIE
        rows.append(
            [
                name,
                f"{_mean(cases, best):.3f}",
                f"{rival} {_mean(cases, rival):.3f}",
                f"{difference:+.3f} [{low:+.3f}, {high:+.3f}]",
            ]
        )
    header = ["set", best, "best baseline there", "difference"]
    count = f"Ahead on {wins}, tied on {ties} of {len(by_set)} sets.\n"
    return _table(header, rows) + "\n" + count


def _mean(cases, family):
    return float(np.mean([case["auroc"][family]["value"] for case in cases]))


def _table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
