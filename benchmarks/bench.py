"""Measures the library beside PyTorch and beside what its machine can do.

  python benchmarks/bench.py [--full]

Writes benchmarks/results/latest.json and latest.md, and the plot
docs/images/bench.png; with --full, which takes up to an hour, full.json and
full.md. PyTorch's side needs the extra `bench`; without it the ratios to
PyTorch are null. Nothing else should run on the machine.
"""

import argparse
import datetime
import json
import os
import pathlib
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import bench_tables  # noqa: E402
import chains  # noqa: E402
import growth  # noqa: E402
import machine  # noqa: E402
import processes  # noqa: E402
import sampling  # noqa: E402
import scales  # noqa: E402
import tensorflow as tf  # noqa: E402
import torch_chains  # noqa: E402
import training_step  # noqa: E402

from clel_tf.files import new_file  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PICTURE = ROOT / "docs" / "images" / "bench.png"
SECTIONS = {
    "chains": chains.measure,
    "training": training_step.measure,
    "sampling": sampling.measure,
    "memory": processes.measure_memory,
    "startup": processes.measure_startup,
    "growth": growth.measure,
    "threads": processes.measure_threads,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="longer tables")
    full = parser.parse_args().full
    # It warns of functions that are compiled again and again: they are many.
    tf.get_logger().setLevel("ERROR")
    torch_chains.use_all_threads()
    results = measure(scales.FULL if full else scales.QUICK)
    write(results, RESULTS, "full" if full else "latest")
    if not full:
        import bench_plot  # which needs matplotlib

        with new_file(PICTURE) as path:
            bench_plot.plot(results, path)
    print(bench_tables.aligned(bench_tables.ratios(results)))


def measure(scale):
    """Runs all sections.

    Args:
        scale: `scales.Scale`.

    Returns:
        dict of the results, as it stands in the JSON file.
    """
    start = time.perf_counter()
    sections = {}
    for name, section in SECTIONS.items():
        title = bench_tables.SECTIONS[name]
        print(f"{time.perf_counter() - start:5.0f} s  {title} ...", flush=True)
        sections[name] = section(scale)
    return _results(sections, time.perf_counter() - start)


def _results(sections, seconds):
    ratios = sections["chains"].pop("ratios")
    for section in sections.values():
        for name in bench_tables.RATIOS:
            if name in section:
                ratios[name] = section.pop(name)
    return {
        "machine": machine.describe(),
        "versions": machine.versions(),
        "command": " ".join(["python", *sys.argv]),
        "date": datetime.date.today().isoformat(),
        "seconds": seconds,
        "ratios": {k: v and v["value"] for k, v in ratios.items()},
        "intervals": {
            k: v and [v["low"], v["high"]] for k, v in ratios.items()
        },
        "skipped": sections["chains"].pop("skipped"),
        **sections,
    }


def write(results, folder, name):
    """Writes results as `name`.json and `name`.md."""
    with new_file(folder / f"{name}.json") as path:
        path.write_text(json.dumps(results, indent=2) + "\n")
    with new_file(folder / f"{name}.md") as path:
        path.write_text(bench_tables.markdown(results))


if __name__ == "__main__":
    main()
