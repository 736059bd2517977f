"""Which operations a Langevin step's time goes to.

  python benchmarks/chain_profile.py

Profiles chains as they run in `CLEL.sample` and adds up the time of each kind
of operation. The two halves of the chains run at the same time, so operations
wait for one another and the sum is more than the time of a step. Writes
benchmarks/results/profile.md.
"""

import collections
import os
import pathlib
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import chains  # noqa: E402
import tensorflow as tf  # noqa: E402
from tensorflow.tsl.profiler.protobuf import xplane_pb2  # noqa: E402

RESULT = pathlib.Path(__file__).resolve().parent / "results" / "profile.md"
SETTINGS = (
    ("base", 16, "float32", 3),
    ("base", 16, "bfloat16", 3),
    ("digits", 64, "bfloat16", 10),
)
# What TensorFlow's operations are to a reader; all others are small.
KINDS = {
    "convolutions, with what is fused into them": ("Conv2D",),
    "gradients of leaky ReLU": ("LeakyReluGrad",),
    "leaky ReLU": ("LeakyRelu",),
    "sums of gradients": ("AddN",),
    "pooling and its gradient": ("AvgPool",),
    "dense layers": ("MatMul",),
}


def main():
    names = [*KINDS, "all else"]
    lines = ["| network | operations a step | " + " | ".join(names) + " |"]
    lines.append("|" + " --- |" * (len(names) + 2))
    for network, batch, dtype, steps in SETTINGS:
        counts, times = profile(network, batch, dtype, steps)
        total = sum(times.values())
        shares = [f"{times[name] / total:.1%}" for name in names]
        cells = [f"{network}, {dtype}", f"{sum(counts.values()) / steps:.0f}"]
        lines.append(f"| {' | '.join(cells + shares)} |")
        print(lines[-1], flush=True)
    RESULT.write_text("\n".join(lines) + "\n")


def profile(network, batch, dtype, steps):
    """Numbers and seconds of each kind of operation in a chain."""
    run = chains.chain(
        chains.build(network, dtype), batch, steps, jit_compile=False
    )
    run()
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            run()
        (path,) = pathlib.Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(path.read_bytes())
    counts, times = collections.Counter(), collections.Counter()
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                name = plane.event_metadata[event.metadata_id].name
                kind = _kind(name)
                if kind:
                    counts[kind] += 1
                    times[kind] += event.duration_ps / 1e12
    return counts, times


def _kind(name):
    """The kind of an event `node:Operation` of the loop, or None of others."""
    node, _, operation = name.rpartition(":")
    if "while" not in node:
        return None
    for kind, parts in KINDS.items():
        if any(part in operation for part in parts):
            return kind
    return "all else"


if __name__ == "__main__":
    main()
