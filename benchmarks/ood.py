"""Out-of-distribution detection on digits, beside scikit-learn's detectors.

  python benchmarks/ood.py

Trains the seeds 0 to 2 of the preset, the same without a class, for three
classes, and two runs for validation: fourteen runs of four minutes. All choices
(settings of every score and detector, and which of the library's scores is its
best) are made by the validation runs, which are of another seed, leave out
another class and hold out training images; the test split has no part in them.
Writes benchmarks/results/ood.json and ood.md.
"""

import json
import pathlib

import numpy as np
import ood_cases
import ood_tables

from clel_tf import metrics

SEEDS = (0, 1, 2)
CLASSES = (2, 5, 8)
RESULTS = pathlib.Path(__file__).resolve().parent / "results"


def main():
    chosen = choose()
    rows = []
    for seed in SEEDS:
        rows += measure(ood_cases.shifted(seed), chosen, seed)
        for label in CLASSES:
            rows += measure(ood_cases.left_out(seed, label), chosen, seed)
    results = {"chosen": chosen, "rows": rows}
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(results, indent=2) + "\n"
    (RESULTS / "ood.json").write_text(text)
    table = ood_tables.tables(results)
    (RESULTS / "ood.md").write_text(table)
    print(table)


def choose():
    """Settings of each family, and the library's best, by validation.

    What counts is the mean of two figures: the mean AUROC of the far shifts,
    and that of the class left out.

    Returns:
        dict: "options", a dict a family; "validation", their figures; "best",
        one of the library's families.
    """
    cases = ood_cases.validation()
    options, figures = {}, {}
    for family in ood_cases.FAMILIES:
        found = []
        for choice in ood_cases.choices(family):
            means = []
            for case in cases:
                scores = case.scores(family, choice)
                inside = scores.pop("")
                means.append(
                    np.mean([_auroc(inside, x) for x in scores.values()])
                )
            found.append((float(np.mean(means)), choice))
            print(f"{family:>24}  {choice}  {means}", flush=True)
        figures[family], options[family] = max(found, key=lambda pair: pair[0])
    best = max(ood_cases.OURS, key=figures.get)
    return {"options": options, "validation": figures, "best": best}


def measure(case, chosen, seed):
    """The figures of a case: a row for each set.

    Returns:
        List of dicts: "set", "seed", "auroc", from family to interval, and
        "difference", from baseline to the best score's lead, an interval.
    """
    scores = {
        family: case.scores(family, options)
        for family, options in chosen["options"].items()
    }
    best, rows = scores[chosen["best"]], []
    for name in case.outside:
        pairs = {family: (x[""], x[name]) for family, x in scores.items()}
        row = {"set": name, "seed": seed, "n": len(case.outside[name])}
        found = {f: metrics.detection(*pair) for f, pair in pairs.items()}
        for metric in ("auroc", "fpr_at_95_tpr"):
            row[metric] = {
                f: getattr(figures, metric)._asdict()
                for f, figures in found.items()
            }
        row["difference"] = {
            family: metrics.detection_difference(
                (best[""], best[name]), pairs[family]
            ).auroc._asdict()
            for family in ood_cases.BASELINES
        }
        rows.append(row)
        print(f"{name:>12}, seed {seed}: {row['auroc'][chosen['best']]}")
    return rows


def _auroc(inside, outside):
    return metrics.detection(inside, outside, resamples=1).auroc.value


if __name__ == "__main__":
    main()
