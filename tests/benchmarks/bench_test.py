import importlib.util
import json
import math
import os
import pathlib
import subprocess
import sys

import pytest

BENCHMARKS = pathlib.Path(__file__).resolve().parents[2] / "benchmarks"
TO_TORCH = {
    "f32_vs_torch_eager",
    "f32_vs_best_torch_f32",
    "bf16_vs_torch_eager",
    "best_vs_best_torch",
}
RATIOS = TO_TORCH | {
    "f32_vs_conv_ceiling",
    "bf16_vs_conv_ceiling",
    "other_share_of_step",
    "memory_600_vs_60_steps",
    "sample_4096_vs_64x64",
}
MEASURE = """
import pathlib, sys
import bench, bench_plot, scales
folder = pathlib.Path(sys.argv[1])
results = bench.measure(scales.TINY)
bench.write(results, folder, "latest")
bench_plot.plot(results, folder / "bench.png")
"""
# What a machine without PyTorch sees.
WITHOUT_TORCH = """
import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name: (
    None if name == "torch" else find_spec(name)
)
import chains, scales
found = chains.measure(scales.TINY)
print(sorted(name for name, value in found["ratios"].items() if not value))
print(sorted(found["skipped"].values())[0])
"""


def run(code, *arguments):
    environment = {
        **os.environ,
        "PYTHONPATH": str(BENCHMARKS),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    run(MEASURE, folder)
    return folder


@pytest.mark.slow
def test_every_ratio_is_measured_with_its_interval(folder):
    results = json.loads((folder / "latest.json").read_text())
    assert set(results["ratios"]) == set(results["intervals"]) == RATIOS
    for name, value in results["ratios"].items():
        if name in TO_TORCH and not importlib.util.find_spec("torch"):
            assert value is None and results["intervals"][name] is None
            continue
        low, high = results["intervals"][name]
        assert 0 < low <= value <= high < math.inf


@pytest.mark.slow
def test_every_section_has_rows_and_every_ratio_is_in_the_table(folder):
    results = json.loads((folder / "latest.json").read_text())
    table = (folder / "latest.md").read_text()
    for name in ("chains", "sampling", "memory", "startup", "growth"):
        assert results[name]["rows"]
    assert results["training"]["phases"]
    for name in RATIOS:
        assert f"| {name} |" in table
    assert (folder / "bench.png").stat().st_size > 10_000


@pytest.mark.slow
def test_without_torch_its_ratios_are_none_and_the_reason_is_given():
    none, reason = run(WITHOUT_TORCH).splitlines()[-2:]
    assert none == str(sorted(TO_TORCH))
    assert reason.startswith("PyTorch is not installed")


@pytest.mark.skipif(
    not importlib.util.find_spec("torch"), reason="needs PyTorch"
)
@pytest.mark.slow
def test_chains_of_other_weights_are_not_timed():
    code = """
import chains, scales, torch_network
torch_network._copy_weights = lambda ours, theirs: None
chains.measure(scales.TINY)
"""
    with pytest.raises(AssertionError, match="relative error of"):
        run(code)
