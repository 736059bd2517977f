"""Times Langevin chains on one GPU: XLA, no XLA, and PyTorch.

  python benchmarks/bench_gpu.py

Writes benchmarks/results/gpu.json and gpu.md. Needs a TensorFlow that sees a
GPU (pip install 'clel_tf[gpu]'); PyTorch's side is measured where PyTorch sees
one too. The network is the paper's base. The ceiling is a large matrix product
in bfloat16; float32 is timed with TensorFloat-32 on both sides, as TensorFlow
has it by default.
"""

import datetime
import json
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")

import bench_tables  # noqa: E402
import ceiling  # noqa: E402
import chains  # noqa: E402
import machine  # noqa: E402
import tensorflow as tf  # noqa: E402
import timing  # noqa: E402
import torch_chains  # noqa: E402
from scales import Chains  # noqa: E402

from clel_tf.files import new_file  # noqa: E402

RESULTS = pathlib.Path(__file__).resolve().parent / "results"
SETTINGS = [
    Chains("base", batch, 20, 3, 10, xla=True, torch_compile=True)
    for batch in (64, 256)
]
MATRIX = 8192
PRODUCTS = 20  # a call


def main():
    if not tf.config.list_physical_devices("GPU"):
        sys.exit(
            f"Expected a GPU; TensorFlow {tf.__version__} sees none: pip "
            "install 'clel_tf[gpu]', on a machine that has one."
        )
    tf.get_logger().setLevel("ERROR")
    torch_chains.use_all_threads()
    results = measure(SETTINGS)
    with new_file(RESULTS / "gpu.json") as path:
        path.write_text(json.dumps(results, indent=2) + "\n")
    table = bench_tables.section("Langevin steps on a GPU", results["rows"])
    for what, reason in results["skipped"].items():
        table += f"\n\nSkipped: {what}, {reason}."
    with new_file(RESULTS / "gpu.md") as path:
        path.write_text(f"{_origin(results)}\n\n{table}\n")
    print(table)


def measure(settings):
    """Times chains beside the matrix product.

    Args:
        settings: list of `scales.Chains`.

    Returns:
        dict: "rows", as of `chains.measure` with "share_of_peak", the
        network's operations a second as a share of the product's.
    """
    peak = matrix_product_flops()
    rows = []
    modes, skipped = torch_modes()
    for setting in settings:
        print(f"{setting.network}, batch {setting.batch} ...", flush=True)
        work = flops_per_step(setting)
        seconds = timing.interleaved(
            chains.functions(setting, modes, "cuda"),
            setting.rounds,
            warmups=2,
            calls=setting.calls,
        )
        for variant, times in seconds.items():
            row = chains.row(setting, variant, times / setting.steps)
            step = row["milliseconds_per_step"]["median"] / 1e3
            rows.append({**row, "share_of_peak": work / step / peak})
    return {
        "machine": {**machine.describe(), "gpu": _gpu()},
        "versions": machine.versions(),
        "date": datetime.date.today().isoformat(),
        "matrix_product_tflops": peak / 1e12,
        "rows": rows,
        "skipped": skipped,
    }


def torch_modes():
    """PyTorch's modes, and why there are none if so."""
    if torch_chains.INSTALLED:
        import torch

        if torch.cuda.is_available():
            torch.backends.cuda.matmul.allow_tf32 = True
            torch.backends.cudnn.allow_tf32 = True
            torch.backends.cudnn.benchmark = True
            skipped = {}
            return torch_chains.modes(skipped), skipped
    return (), {"torch": "no PyTorch that sees a GPU"}


def matrix_product_flops():
    """Operations a second of a large matrix product in bfloat16."""
    x = tf.cast(tf.random.normal((MATRIX, MATRIX)), tf.bfloat16) / MATRIX**0.5

    @tf.function(autograph=False)
    def products(x):
        y = x
        for _ in range(PRODUCTS):
            y = y @ x
        return y[0, 0]

    run = {"product": lambda: products(x).numpy()}
    seconds = timing.interleaved(run, rounds=10, warmups=2)["product"].min()
    return 2 * MATRIX**3 * PRODUCTS / seconds


def flops_per_step(settings):
    """Operations of the convolutions, forward and to the input's gradient."""
    network = chains.build(settings.network, "float32").energy_network
    counts = ceiling.shapes(network)
    products = sum(
        count * height * width * size**2 * channels * filters
        for (height, width, size, channels, filters), count in counts.items()
    )
    return 2 * 2 * products * settings.batch


def _gpu():
    device = tf.config.list_physical_devices("GPU")[0]
    return tf.config.experimental.get_device_details(device)["device_name"]


def _origin(results):
    versions = ", ".join(f"{k} {v}" for k, v in results["versions"].items())
    return (
        f"{results['machine']['gpu']}, {results['date']}; {versions}. Large "
        f"matrix product in bfloat16: {results['matrix_product_tflops']:.0f} "
        "TFLOP/s."
    )


if __name__ == "__main__":
    main()
