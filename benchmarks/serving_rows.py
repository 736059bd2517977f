"""What rows of their own cost an exported sampler, and how far they are so.

    python benchmarks/serving_rows.py [--model=runs/digits/model.keras]

Noise of a key a row, as chains draw it, beside TensorFlow's stateless noise of
one seed for the whole batch; and how much an image differs, alone and among
others, against the number of steps. Writes benchmarks/results/serving_rows.md.
"""

import argparse
import os
import pathlib
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
import timing  # noqa: E402

import clel_tf  # noqa: E402
from clel_tf.export import export_sampler  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "serving_rows.md"
SHAPES = ((64, 8, 8, 1), (16, 32, 32, 3), (64, 64, 64, 3))
DRAWS = 20  # in one call, of a loop as a chain's
STEPS = (1, 10, 60, 140, 600)
ROWS = 16


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    default = ROOT / "runs" / "digits" / "model.keras"
    parser.add_argument("--model", type=pathlib.Path, default=default)
    model = keras.saving.load_model(parser.parse_args().model, compile=False)
    lines = [
        "| noise | a seed a batch, ms | a seed a row, ms | ratio |",
        "| --- | --- | --- | --- |",
        *map(noise_row, SHAPES),
        "",
        "| steps | of 16, or alone | of 16, or of 8 | of 16, or of 16 others |",
        "| --- | --- | --- | --- |",
        *(difference_row(model, steps) for steps in STEPS),
    ]
    RESULT.write_text("\n".join(lines) + "\n")
    print(RESULT.read_text())


def noise_row(shape):
    seeds = tf.constant(clel_tf.random.row_seeds(0, shape[0]))
    keys = clel_tf.random.as_key(seeds)

    @tf.function(autograph=False)
    def rows(keys):
        return _loop(
            shape,
            lambda step: clel_tf.random.normal(
                clel_tf.random.fold_in(keys, step), shape[1:]
            ),
        )

    @tf.function(autograph=False)
    def batch(seed):
        return _loop(
            shape,
            lambda step: tf.random.stateless_normal(shape, [seed, step]),
        )

    functions = {
        "batch": lambda: batch(tf.constant(1)).numpy(),
        "rows": lambda: rows(keys).numpy(),
    }
    seconds = timing.interleaved(functions, rounds=30, warmups=3)
    batch_ms, rows_ms = (
        1e3 * np.median(seconds[name]) / DRAWS for name in ("batch", "rows")
    )
    cells = f"{batch_ms:.2f} | {rows_ms:.2f} | {rows_ms / batch_ms:.2f}"
    return f"| {'x'.join(map(str, shape))} | {cells} |"


def _loop(shape, draw):
    return tf.while_loop(
        lambda step, _: step < DRAWS,
        lambda step, total: (step + 1, total + draw(step)),
        (tf.constant(0), tf.zeros(shape)),
    )[1]


def difference_row(model, steps):
    """How much pixels differ at most, in one batch and in another."""
    with tempfile.TemporaryDirectory() as folder:
        path = export_sampler(model, folder, num_steps=steps)
        loaded = tf.saved_model.load(path)
        sample = loaded.signatures["sample"]
        seeds = clel_tf.random.row_seeds(0, ROWS)
        together = sample(seed=tf.constant(seeds))["images"]
        alone = [
            sample(seed=tf.constant(seeds[i : i + 1]))["images"][0]
            for i in range(ROWS)
        ]
        eight = sample(seed=tf.constant(seeds[: ROWS // 2]))["images"]
        # Half of the rows, in other places and among others.
        half = clel_tf.random.row_seeds(1, ROWS)
        half[ROWS // 2 :] = seeds[: ROWS // 2]
        elsewhere = sample(seed=tf.constant(half))["images"]
    alone = np.abs(together - np.stack(alone)).max()
    fewer = np.abs(eight - together[: ROWS // 2]).max()
    moved = np.abs(elsewhere[ROWS // 2 :] - together[: ROWS // 2]).max()
    return f"| {steps} | {alone:.1e} | {fewer:.1e} | {moved:.1e} |"


if __name__ == "__main__":
    main()
