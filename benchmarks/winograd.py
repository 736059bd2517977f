"""Winograd convolution in TensorFlow's operations, beside the direct one.

  python benchmarks/winograd.py

F(4x4, 3x3) makes a fourth of the multiplications:

    y = A' [(G w G') * (B' x B)] A,    over tiles of 4x4 outputs

with the kernels transformed once for a chain, and the transforms of images and
outputs as products with constant matrices. Writes
benchmarks/results/winograd.md: times, and errors against float64.

Reference:
    [Lavin, Gray: Fast Algorithms for Convolutional Neural Networks, CVPR
    2016](https://arxiv.org/abs/1509.09308)
"""

import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
import timing  # noqa: E402

RESULT = pathlib.Path(__file__).resolve().parent / "results" / "winograd.md"
BATCH, ROUNDS = 16, 15
SHAPES = ((32, 64), (32, 128), (16, 128), (8, 256), (32, 256))  # side, channels
B_T = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
)
G = np.array(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ]
)
A_T = np.array(
    [
        [1, 1, 1, 1, 1, 0],
        [0, 1, -1, 2, -2, 0],
        [0, 1, 1, 4, 4, 0],
        [0, 1, -1, 8, -8, 1],
    ]
)


def main():
    lines = [
        "| images | dtype | direct, ms | Winograd, ms | speed | direct, error "
        "| Winograd, error |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for side, channels in SHAPES:
        for dtype in (tf.float32, tf.bfloat16):
            lines.append(compare(side, channels, dtype))
            print(lines[-1], flush=True)
    RESULT.write_text("\n".join(lines) + "\n")


def compare(side, channels, dtype):
    """A row of the table."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH, side, side, channels))
    w = rng.normal(size=(3, 3, channels, channels)) / (3 * channels**0.5)
    expected = tf.nn.conv2d(x, w, 1, "SAME").numpy()
    x = tf.cast(x, dtype)
    direct = tf.function(lambda x, w: tf.nn.conv2d(x, w, 1, "SAME"))
    runs = {
        "direct": (direct, tf.cast(w, dtype)),
        "winograd": (tf.function(winograd), tf.cast(transformed(w), dtype)),
    }
    errors = {
        name: np.linalg.norm(tf.cast(run(x, kernel), tf.float64) - expected)
        / np.linalg.norm(expected)
        for name, (run, kernel) in runs.items()
    }
    seconds = timing.interleaved(
        {
            name: lambda run=run, kernel=kernel: run(x, kernel).numpy()
            for name, (run, kernel) in runs.items()
        },
        ROUNDS,
        warmups=3,
    )
    speed = timing.ratio(seconds["direct"], seconds["winograd"])["value"]
    times = [1e3 * np.median(seconds[name]) for name in runs]
    cells = [f"{BATCH}x{side}x{side}x{channels}", dtype.name]
    cells += [f"{time:.1f}" for time in times] + [f"{speed:.2f}"]
    cells += [f"{errors[name]:.1e}" for name in runs]
    return f"| {' | '.join(cells)} |"


def transformed(kernel):
    """`G w G'` of every pair of channels: `(6, 6, channels, filters)`."""
    return np.einsum("ia,abcf,jb->jicf", G, kernel, G)


def winograd(x, kernel):
    """The convolution of `x` by a transformed kernel, zero padding."""
    batch, side, _, channels = x.shape
    tiles, filters = side // 4, kernel.shape[-1]
    into = tf.constant(_into_tiles(side), x.dtype)
    out = tf.constant(_out_of_tiles(side), x.dtype)
    x = tf.reshape(into @ x, (batch, side, 6, tiles * channels))
    x = into @ tf.transpose(x, (0, 2, 1, 3))
    x = tf.reshape(x, (batch, 6, 6, tiles * tiles, channels)) @ kernel
    x = out @ tf.reshape(x, (batch, 6, 6 * tiles, tiles * filters))
    x = tf.transpose(x, (0, 2, 1, 3))
    return out @ tf.reshape(x, (batch, side, 6 * tiles, filters))


def _into_tiles(side):
    """`B'` of all tiles of a column: `(6 * tiles, side)`."""
    matrix = np.zeros((6, side // 4, side + 2))
    for tile in range(side // 4):
        matrix[:, tile, 4 * tile : 4 * tile + 6] = B_T
    return matrix.reshape(-1, side + 2)[:, 1:-1]


def _out_of_tiles(side):
    """`A'` of all tiles of a column: `(side, 6 * tiles)`."""
    matrix = np.zeros((side // 4, 4, 6, side // 4))
    for tile in range(side // 4):
        matrix[tile, :, :, tile] = A_T
    return matrix.reshape(side, -1)


if __name__ == "__main__":
    main()
