"""TensorFlow's own tool on an export: `saved_model_cli`."""

import pathlib
import subprocess
import sys

import numpy as np

from clel_tf import random

TOOL = pathlib.Path(sys.executable).parent / "saved_model_cli"


def cli(*arguments):
    finished = subprocess.run(
        [TOOL, *arguments], capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_it_shows_a_signature(path):
    flags = "--tag_set=serve", "--signature_def=refine"
    shown = cli("show", f"--dir={path}", *flags)
    lines = [line.strip() for line in shown.splitlines()]
    told = [line.split("'")[1] for line in lines if "inputs['" in line]
    assert told == ["images", "num_steps", "seed"]
    images = lines.index("outputs['images'] tensor_info:")
    assert "shape: (-1, 8, 8, 1)" in lines[images : images + 3]
    assert "Method name is: tensorflow/serving/predict" in lines


def test_it_runs_a_signature(model, path, images, tmp_path):
    inputs = {
        "seed": random.row_seeds(0, 5),
        "images": images,
        "num_steps": np.full(5, 3),
    }
    np.savez(tmp_path / "in.npz", **inputs)
    fed = ";".join(f"{x}={tmp_path / 'in.npz'}[{x}]" for x in inputs)
    flags = "--tag_set=serve", "--signature_def=refine", f"--inputs={fed}"
    cli("run", f"--dir={path}", *flags, f"--outdir={tmp_path}")
    refined = np.load(tmp_path / "images.npy")
    expected = model.sample(5, initial=images, num_steps=3)
    np.testing.assert_allclose(refined, expected, atol=1e-5)
