import pathlib
import subprocess
import sys

import processes
import pytest
import scales

BENCHMARKS = pathlib.Path(processes.__file__).parent

ALLOCATE = """
import numpy, probes
before = probes._peak_mb()
numpy.ones(2**25)  # freed at once: a peak stays
print(probes._peak_mb() - before)
"""


def test_the_peak_is_of_what_was_in_use_at_once():
    output = subprocess.check_output(
        [sys.executable, "-c", ALLOCATE], cwd=BENCHMARKS
    )
    assert float(output) == pytest.approx(256, abs=16)


def test_a_failing_probe_is_an_error(capfd):
    with pytest.raises(subprocess.CalledProcessError):
        processes._run("no_such_probe")
    assert "no_such_probe" in capfd.readouterr().err


@pytest.fixture
def peaks(monkeypatch):
    def run(probe, n, steps):
        assert probe == "peak_of_sample"
        return {"peak_mb": 500.0 + n + steps, "growth_mb": float(n)}

    monkeypatch.setattr(processes, "_run", run)


def test_memory_is_compared_between_the_longest_and_shortest_chain(peaks):
    scale = scales.TINY._replace(
        memory_steps=(60, 300, 600), memory_counts=(1024,), starts=3
    )
    found = processes.measure_memory(scale)
    ratio = found["memory_600_vs_60_steps"]
    assert ratio["value"] == pytest.approx((500 + 64 + 600) / (500 + 64 + 60))
    settings = [(row["n"], row["steps"]) for row in found["rows"]]
    assert settings == [(64, 60), (64, 300), (64, 600), (1024, 20)]
    assert found["rows"][-1]["growth_mb"]["median"] == 1024


@pytest.mark.slow
def test_a_start_is_compared_with_tensorflows_import(monkeypatch):
    seconds = {"import_tensorflow": 4.0, "serve": 7.0}

    def run(probe, *_):
        took = seconds.get(probe, 5.0)
        found = {"process_seconds": took, "process_cpu_seconds": took / 2}
        return found | ({"seconds": 1.0} if "compile" in probe else {})

    monkeypatch.setattr(processes, "_run", run)
    rows = processes.measure_startup(scales.TINY)["rows"]
    beyond = {
        row["what"]: row["seconds_beyond_tensorflow"]["median"]
        for row in rows
        if not row["what"].startswith("compile")
    }
    assert list(beyond.values()) == [0, 1, 1, 3]
