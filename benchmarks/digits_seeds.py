"""Trains the digits preset with five seeds; writes their table and a picture.

  python benchmarks/digits_seeds.py

Runs go to runs/figures/RECIPE/SEED, RECIPE a hash of the recipe, and are
continued or kept if they exist: remove them after a change of the code.
Writes benchmarks/results/digits_seeds.json and .md, and
docs/images/digits_samples.png.
"""

import hashlib
import json
import pathlib
import platform
import shutil
import subprocess
import sys

from clel_tf import presets

SEEDS = range(5)
ROOT = pathlib.Path(__file__).resolve().parent.parent
RECIPE = presets.with_dtypes(presets.get("digits"))
RECIPE = json.dumps(RECIPE, sort_keys=True).encode()
RUNS = ROOT / "runs" / "figures" / hashlib.sha256(RECIPE).hexdigest()[:8]
RESULTS = ROOT / "benchmarks" / "results"
PICTURE = ROOT / "docs" / "images" / "digits_samples.png"
COLUMNS = {
    "seed": lambda s: str(s["seed"]),
    "Fréchet": lambda s: f"{s['frechet_distance']:.2f}",
    "vs test split": lambda s: f"{s['frechet_distance_against_test']:.2f}",
    "pixels": lambda s: f"{s['pixel_frechet_distance']:.3f}",
    "precision": lambda s: f"{s['precision']:.2f}",
    "coverage": lambda s: f"{s['coverage']:.2f}",
    "smallest class": lambda s: f"{min(s['class_histogram']):.1%}",
    "memorised": lambda s: f"{s['memorised']:.1%}",
    # Its distance and coverage say nothing: 1,000 draws repeat 128 chains.
    "buffer: precision": lambda s: (
        f"{s['references']['buffer']['precision']:.2f}"
    ),
    "NaN steps": lambda s: str(s["nan_steps"]),
}


def main():
    summaries = [train(seed) for seed in SEEDS]
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.mkdir(exist_ok=True)
    record = {"machine": platform.platform(), "runs": summaries}
    path = RESULTS / "digits_seeds.json"
    path.write_text(json.dumps(record, indent=2) + "\n")
    text = table(summaries, COLUMNS)
    (RESULTS / "digits_seeds.md").write_text(text + "\n")
    shutil.copy(RUNS / "0" / "samples.png", PICTURE)
    print(text)


def train(seed, *options, runs=RUNS):
    """Trains a seed, or finds it trained, and returns its summary.

    Args:
        seed: int.
        *options: str, further flags of `clel-train`.
        runs: `pathlib.Path`, where the run's directory, `str(seed)`, is.
    """
    workdir = runs / str(seed)
    command = [sys.executable, "-m", "clel_tf.trainers.train"]
    command += ["--preset=digits", f"--workdir={workdir}", f"--seed={seed}"]
    subprocess.run([*command, *options], check=True)
    return json.loads((workdir / "summary.json").read_text())


def table(summaries, columns):
    """A Markdown table of summaries.

    Args:
        summaries: list of dict, one a row.
        columns: dict from titles to functions of a summary, giving a str.
    """
    rows = [list(columns), ["---"] * len(columns)]
    rows += [[column(s) for column in columns.values()] for s in summaries]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


if __name__ == "__main__":
    main()
