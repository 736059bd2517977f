"""Peak memory, start-up and threads, each measured in fresh processes."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import timing

from clel_tf.export import export_sampler
from clel_tf.models import CLEL

PROBES = pathlib.Path(__file__).with_name("probes.py")
MEMORY_STEPS = 20  # of samples of several numbers of images
MEMORY_COUNT = 64  # images of chains of several lengths
THREADS = "TF_NUM_INTRAOP_THREADS"


def measure_memory(scale):
    """Measures peak memory of sampling digits. Needs Linux's /proc.

    Args:
        scale: `scales.Scale`.

    Returns:
        dict: "rows", with the peak of the process and its growth by sampling
        as spreads, and "memory_600_vs_60_steps".
    """
    of_steps = {(MEMORY_COUNT, steps): steps for steps in scale.memory_steps}
    of_counts = {(n, MEMORY_STEPS): n for n in scale.memory_counts}
    probes = {
        setting: ("peak_of_sample", *setting)
        for setting in {**of_steps, **of_counts}
    }
    # Twice at most: they vary by less than 1 MB.
    found = _in_turn(probes, min(scale.starts, 2))
    peaks = {name: _values(found[name], "peak_mb") for name in found}
    short, *_, long = of_steps
    return {
        "rows": [_memory(*name, results) for name, results in found.items()],
        "memory_600_vs_60_steps": timing.ratio(peaks[long], peaks[short]),
    }


def measure_startup(scale):
    """Measures imports, first samples and compilations of digits.

    Args:
        scale: `scales.Scale`.

    Returns:
        dict: "rows", with "seconds", "cpu_seconds" and, of those that are
        times of a whole process, "seconds_beyond_tensorflow", its difference
        to a process that imports TensorFlow, as spreads.
    """
    with tempfile.TemporaryDirectory() as folder:
        model = CLEL.from_preset("digits")
        saved = pathlib.Path(folder) / "model.keras"
        model.save(saved)
        version = export_sampler(model, pathlib.Path(folder) / "served")
        baseline = "import tensorflow"
        found = _in_turn(
            {
                baseline: ("import_tensorflow",),
                "import clel_tf": ("import_clel_tf",),
                "load a model, first sample": ("load_and_sample", saved),
                "serve without clel_tf, first sample": ("serve", version),
                "compile a training step": ("compile_train_step",),
                "compile sample": ("compile_sample",),
            },
            scale.starts,
        )
    base = _values(found[baseline], "process_seconds")
    return {
        "rows": [
            {"what": what} | _startup(results, base)
            for what, results in found.items()
        ]
    }


def measure_threads(scale):
    """Measures chains with one thread an operation beside the default.

    An operation then runs on one core, and the two halves of the chains on two.

    Args:
        scale: `scales.Scale`.

    Returns:
        dict: "rows", with "milliseconds_per_step" as a spread.
    """
    rows = {}
    for settings in scale.chains[-1:]:  # the smallest network, of most waits
        for dtype in ("float32", "bfloat16"):
            for threads in ("default", "1"):
                rows[settings.network, settings.batch, dtype, threads] = []
    for _ in range(scale.starts):
        for (*setting, threads), results in rows.items():
            limit = {} if threads == "default" else {THREADS: threads}
            found = _run("chain_step", *setting, environment=limit)
            results.append(found["milliseconds"])
    names = ("network", "batch", "dtype", THREADS)
    return {
        "rows": [
            dict(zip(names, row)) | {"milliseconds_per_step": timing.spread(ms)}
            for row, ms in rows.items()
        ]
    }


def _memory(n, steps, results):
    return {
        "n": n,
        "steps": steps,
        "peak_mb": timing.spread(_values(results, "peak_mb")),
        "growth_mb": timing.spread(_values(results, "growth_mb")),
    }


def _startup(results, base):
    if "seconds" in results[0]:
        return {"seconds": timing.spread(_values(results, "seconds"))}
    seconds = _values(results, "process_seconds")
    cpu_seconds = _values(results, "process_cpu_seconds")
    return {
        "seconds": timing.spread(seconds),
        "cpu_seconds": timing.spread(cpu_seconds),
        "seconds_beyond_tensorflow": timing.spread(seconds - base),
    }


def _in_turn(probes, rounds):
    """Runs probes in turn: a dict from names to lists of their results."""
    found = {name: [] for name in probes}
    for _ in range(rounds):
        for name, probe in probes.items():
            found[name].append(_run(*probe))
    return found


def _run(*probe, environment=None):
    """A probe's results, and the process's wall-clock and CPU seconds."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, PROBES, *map(str, probe)],
        stdout=subprocess.PIPE,
        env={**os.environ, **(environment or {})},
    )
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return {
        **json.loads(output),
        "process_seconds": seconds,
        "process_cpu_seconds": usage.ru_utime + usage.ru_stime,
    }


def _values(results, name):
    return np.array([result[name] for result in results])
