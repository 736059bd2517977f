"""Hours of training on digits that is killed every few minutes.

  python benchmarks/soak.py [--minutes=120] [--workdir=DIR]

Runs `clel-train` again and again on one directory: most processes are killed
(SIGKILL) after two to six minutes, every fifth is told to terminate, and after
every fourth the newest checkpoint is torn as well. Then counts whether
each step is in metrics.csv once, what was lost and made again, whether
memory grew, whether incidents are those that the model counted; and whether the
first steps are, byte by byte, those of a run that nothing interrupted. Writes
benchmarks/results/soak.json and docs/images/soak.png.
"""

import argparse
import csv
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

import machine
import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "soak.json"
PICTURE = ROOT / "docs" / "images" / "soak.png"
STEPS = 100_000  # more than there is time for
LIFE = 120, 360  # seconds
WARM = 60  # seconds after a process's first step, when its memory is settled
INTERVAL = 5  # seconds between two looks
TEAR_EVERY = 4
TERM_EVERY = 5


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--compared", type=int, default=1000, help="steps")
    parser.add_argument("--workdir", type=pathlib.Path)
    options = parser.parse_args()
    workdir = options.workdir or pathlib.Path(tempfile.mkdtemp()) / "run"
    lives, looks = soak(workdir, options.minutes * 60)
    result = {
        "machine": machine.describe(),
        "versions": machine.versions(),
        "minutes": options.minutes,
        **account(workdir, lives),
        "memory": memory(looks),
        **compare(workdir, options.compared),
        "lives": lives,
    }
    print(json.dumps({k: v for k, v in result.items() if k != "lives"}))
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    plot(looks, lives)


def soak(workdir, seconds):
    """Starts and ends processes until the time is over.

    Returns:
        Tuple of a list of dicts, one a process, and a list of dicts, one a
        look at one.
    """
    draw = random.Random(0)
    start, lives, looks = time.monotonic(), [], []
    while (left := start + seconds - time.monotonic()) > 0:
        index = len(lives)
        last = left < sum(LIFE)
        life = left if last else draw.uniform(*LIFE)
        term = last or index % TERM_EVERY == TERM_EVERY - 1
        lives.append(live(workdir, life, term, index, start, looks))
        if index % TEAR_EVERY == TEAR_EVERY - 1 and not last:
            lives[-1]["torn"] = tear(workdir)
        print(json.dumps(lives[-1]), flush=True)
    return lives, looks


def live(workdir, seconds, term, index, start, looks):
    """One process, from its start to its end."""
    log = workdir.with_name(f"{workdir.name}_{index}.log")
    with log.open("w") as file:
        process = command(workdir, file)
        end = time.monotonic() + seconds
        while time.monotonic() < end and process.poll() is None:
            time.sleep(INTERVAL)
            looks.append(
                {
                    "seconds": round(time.monotonic() - start, 1),
                    "life": index,
                    "megabytes": resident(process.pid),
                    "step": last_step(workdir),
                }
            )
        process.send_signal(signal.SIGTERM if term else signal.SIGKILL)
        status = process.wait(60)
    text = log.read_text()
    continued = re.search(r"from step (\d+)", text)
    return {
        "status": status,
        "from_step": int(continued[1]) if continued else 0,
        "to_step": last_step(workdir),
        "skipped_checkpoints": text.count("Skipping a checkpoint"),
        "seconds": round(seconds),
    }


def command(workdir, file, steps=STEPS):
    return subprocess.Popen(
        [
            pathlib.Path(sys.executable).with_name("clel-train"),
            "--preset=digits",
            f"--steps={steps}",
            f"--workdir={workdir}",
        ],
        stdout=file,
        stderr=subprocess.STDOUT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )


def resident(process):
    """Megabytes in memory of a process, or None if it has gone."""
    try:
        status = pathlib.Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return None
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return found and round(int(found[1]) / 1024, 1)


def rows(workdir):
    path = workdir / "metrics.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [row for row in csv.DictReader(file) if None not in row.values()]


def last_step(workdir):
    found = rows(workdir)
    return int(found[-1]["step"]) if found else 0


def tear(workdir):
    """Cuts the newest checkpoint in half, as losing power may."""
    path = max((workdir / "checkpoints").glob("step_*.npz"), default=None)
    if path is None:
        return None
    os.truncate(path, path.stat().st_size // 2)
    return path.name


def account(workdir, lives):
    """Whether all steps and incidents are where they should be."""
    from clel_tf import presets
    from clel_tf.callbacks import Checkpoints

    model = presets.build(presets.get("digits"))
    model.compile(total_steps=STEPS)
    step = Checkpoints(workdir / "checkpoints", 200).restore(model)
    found = [int(row["step"]) for row in rows(workdir)]
    path = workdir / "incidents.jsonl"
    made = sum(life["to_step"] - life["from_step"] for life in lives)
    return {
        "processes": len(lives),
        "killed": sum(life["status"] == -signal.SIGKILL for life in lives),
        "told_to_terminate": sum(life["status"] == 143 for life in lives),
        "torn_checkpoints": sum(bool(life.get("torn")) for life in lives),
        "skipped_checkpoints": sum(x["skipped_checkpoints"] for x in lives),
        "steps": step,
        "steps_made_again": made - found[-1],
        "rows_are_every_tenth_step_once": found
        == list(range(10, found[-1] + 1, 10)),
        "last_row": found[-1],
        "incidents_counted": int(model.vital_signs.incidents.numpy()),
        "incidents_told": len(path.read_text().splitlines())
        if path.exists()
        else 0,
        "steps_undone": int(model.skipped_steps.numpy()),
    }


def memory(looks):
    """Megabytes of settled processes, and how they grew within each."""
    growth, level = [], []
    for index in sorted({look["life"] for look in looks}):
        own = [x for x in looks if x["life"] == index and x["megabytes"]]
        begun = [x for x in own if x["step"] > own[0]["step"]]
        settled = [
            x for x in begun if x["seconds"] >= begun[0]["seconds"] + WARM
        ]
        if len(settled) > 1:
            minutes = (settled[-1]["seconds"] - settled[0]["seconds"]) / 60
            change = settled[-1]["megabytes"] - settled[0]["megabytes"]
            growth.append({"minutes": minutes, "megabytes": change})
            level.append(settled[-1]["megabytes"])
    minutes = sum(x["minutes"] for x in growth)
    return {
        "processes": len(growth),
        "settled_minutes": round(minutes, 1),
        "megabytes_per_minute": round(
            sum(x["megabytes"] for x in growth) / minutes, 3
        ),
        "first_process": level[0],
        "last_process": level[-1],
        "largest": max(level),
    }


def compare(workdir, steps):
    """Makes the first steps again, without an interruption."""
    steps = min(steps, last_step(workdir))
    other = workdir.with_name(f"{workdir.name}_uninterrupted")
    with other.with_suffix(".log").open("w") as file:
        process = command(other, file)
        while last_step(other) < steps and process.poll() is None:
            time.sleep(INTERVAL)
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    first = [
        (path / "metrics.csv").read_bytes().splitlines()[: steps // 10 + 1]
        for path in (workdir, other)
    ]
    return {
        "compared_steps": steps,
        "equal_to_an_uninterrupted_run": first[0] == first[1],
    }


def plot(looks, lives):
    """Memory and steps against time, and the ends of processes."""
    figure, axes = pyplot.subplots(
        2, 1, sharex=True, figsize=(8, 5), layout="constrained"
    )
    for index in range(len(lives)):
        own = [x for x in looks if x["life"] == index and x["megabytes"]]
        minutes = [x["seconds"] / 60 for x in own]
        axes[0].plot(minutes, [x["megabytes"] for x in own], color="C0")
        axes[1].plot(minutes, [x["step"] for x in own], color="C1")
        for axis in axes:
            axis.axvline(minutes[-1], color="0.8", lw=0.6, zorder=0)
    axes[0].set_ylabel("resident memory [MB]")
    axes[0].set_ylim(0)
    axes[1].set_ylabel("step in metrics.csv")
    axes[1].set_xlabel("minutes; a line where a process was ended")
    figure.savefig(PICTURE, dpi=120)


if __name__ == "__main__":
    main()
