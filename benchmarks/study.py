"""The reproduction study: does contrastive guidance make training better?

  python benchmarks/study.py GROUP ... [--jobs=2] [--runs=runs/study]
    [--cifar10=FILE]

Runs the cells of groups (see `study_grid.GROUPS`), each on one core and in a
process of its own, as many at a time as --jobs. A cell that is finished is a
row of benchmarks/results/study.jsonl and not run again; one that was stopped
goes on from its last checkpoint in --runs. `rates` measures what a step of each
arm takes, where it was not, which sets how many steps an arm has in the same
time; nothing else may run then. FILE, which `rates` and `cifar16` need once, is
an npz file of CIFAR-10 with `x_train`, `y_train`, `x_test` and `y_test`.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import queue
import subprocess
import sys
import time
from concurrent import futures

import machine
import study_grid
import study_judges

import clel_tf

ROOT = study_grid.HERE.parent
RESULTS = study_grid.HERE / "results" / "study.jsonl"
CELL = study_grid.HERE / "study_cell.py"
RATES = study_grid.HERE / "study_rates.py"


def main():
    options = _options()
    if options.groups == ["rates"]:
        _prepare(study_grid.RECIPES, options)
        measure_rates(options.runs)
        return
    cells = []
    for group in options.groups:
        cells += study_grid.GROUPS[group]()
    found = rows()
    missing = [cell for cell in cells if cell.key not in found]
    print(f"{len(cells)} cells, of which {len(missing)} are to be run.")
    _prepare({cell.setting for cell in missing}, options)
    run(missing, options.jobs, options.runs)


def measure_rates(folder):
    """Writes seconds a step of arms that have none, on one core.

    They are measured beside the plain arm, and told in its terms, so that the
    steps of finished cells stay as they are.
    """
    record = {"machine": machine.describe()}
    if study_grid.RATES.is_file():
        record = json.loads(study_grid.RATES.read_text())
    core = min(os.sched_getaffinity(0))
    for setting in study_grid.RECIPES:
        rates = record.setdefault(setting, {})
        arms = study_grid.timed_arms(setting)
        missing = [arm for arm in arms if arm not in rates]
        if not missing:
            continue
        arms = dict.fromkeys([study_grid.PLAIN, *missing])
        command = [sys.executable, str(RATES), setting, str(folder), *arms]
        printed = _on_core(core, command, None)
        found = json.loads(printed.splitlines()[-1])
        plain = found[study_grid.PLAIN]
        scale = rates.get(study_grid.PLAIN, plain) / plain
        rates |= {arm: scale * found[arm] for arm in missing}
    study_grid.RATES.write_text(json.dumps(record, indent=2) + "\n")


def rows():
    """Finished cells: dict from keys to rows."""
    if not RESULTS.is_file():
        return {}
    lines = RESULTS.read_text().splitlines()
    return {row["key"]: row for row in map(json.loads, lines)}


def run(cells, jobs, folder):
    """Runs cells, and appends a row to the results as each one ends."""
    started = time.perf_counter()
    for count, row in enumerate(_results(cells, jobs, folder), start=1):
        with RESULTS.open("a") as file:
            file.write(json.dumps(row) + "\n")
        minutes = (time.perf_counter() - started) / 60
        left = minutes / count * (len(cells) - count)
        print(f"{told(row)}  {left:4.0f} min left", flush=True)


def _on_core(core, command, log):
    """What a command prints that has one core, and one thread for its work."""
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env={**os.environ, "TF_NUM_INTRAOP_THREADS": "1"},
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    if done.returncode:
        where = f"; see {log.name}" if log else ""
        raise SystemExit(f"{' '.join(command)} failed{where}.")
    return done.stdout


def _prepare(settings, options):
    """Makes what several cells would make at the same time."""
    for setting in settings:
        folder = options.runs
        spec = study_judges.data_of(setting, folder, options.cifar10)
        images = clel_tf.data.load(spec)
        study_judges.judge(setting, images, folder)
        study_judges.classifier(setting, images, folder)


def told(row):
    """A row in a line."""
    if "diverged" in row:
        return f"{row['name']:40} diverged"
    if "auroc" in row:
        figures = "  ".join(f"{k} {v:.3f}" for k, v in row["auroc"].items())
        return f"{row['name']:40} {figures}"
    last = row["curve"][-1]
    return (
        f"{row['name']:40} {last['frechet_distance']:6.3f} "
        f"{last['precision']:.3f} {last['coverage']:.3f}"
        f"{'  failed' if row['failed'] else ''}"
    )


def _results(cells, jobs, folder):
    """Yields the rows of cells as they end."""
    cores = queue.SimpleQueue()
    for core in sorted(os.sched_getaffinity(0))[:jobs]:
        cores.put(core)
    with futures.ThreadPoolExecutor(jobs) as pool:
        running = [pool.submit(_run, cell, cores, folder) for cell in cells]
        for done in futures.as_completed(running):
            yield done.result()


def _run(cell, cores, folder):
    """Runs a cell on a core that is free; gives its row."""
    core = cores.get()
    workdir = folder / cell.name
    workdir.parent.mkdir(parents=True, exist_ok=True)
    fields = dataclasses.asdict(cell)
    command = [sys.executable, str(CELL), json.dumps(fields), str(workdir)]
    with workdir.with_name(workdir.name + ".log").open("a") as log:
        printed = _on_core(core, command, log)
    cores.put(core)
    row = json.loads(printed.splitlines()[-1])
    return {
        "key": cell.key,
        "name": cell.name,
        **fields,
        **row,
        "machine": machine.describe(),
    }


def _options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "groups", nargs="+", choices=[*study_grid.GROUPS, "rates"]
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    runs_folder = ROOT / "runs" / "study"
    parser.add_argument("--runs", type=pathlib.Path, default=runs_folder)
    parser.add_argument("--cifar10", type=pathlib.Path)
    options = parser.parse_args()
    options.runs = options.runs.absolute()
    return options


if __name__ == "__main__":
    main()
