import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from clel_tf import presets
from clel_tf import random


@pytest.fixture(scope="module")
def model():
    config = presets.get("digits")
    for name in ("energy_network", "encoder"):
        config[name].update(widths=[8, 8], depths=[1, 1], head_width=16)
        config[name]["dtype"] = "float32"  # as samples are compared
    model = presets.build(config)
    model.compile(total_steps=1)
    return model


@pytest.fixture(scope="module")
def result(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    model.save(folder / "model.keras")
    flags = ["--workdir=.", "--export_dir=served/tiny", "--steps=2"]
    result = subprocess.run(
        [sys.executable, "-m", "clel_tf.trainers.export", *flags],
        check=True,
        capture_output=True,
        text=True,
        cwd=folder,
    )
    return folder, result


def test_the_binary_exports_a_first_version(model, result):
    folder, _ = result
    assert [p.name for p in (folder / "served" / "tiny").iterdir()] == ["1"]
    loaded = tf.saved_model.load(folder / "served" / "tiny" / "1")
    seeds = tf.constant(random.row_seeds(0, 3))
    images = loaded.signatures["sample"](seed=seeds)["images"]
    expected = model.sample(3, num_steps=2)
    np.testing.assert_allclose(images, expected, atol=1e-5)


def test_it_says_where_and_how_to_serve(result):
    folder, finished = result
    directory = folder / "served" / "tiny"
    lines = finished.stdout.splitlines()
    assert lines[:2] == [
        "read     .",
        f"wrote    {directory / '1'} (2 steps a sample)",
    ]
    assert f"--model_base_path={directory}" in lines[-1]
    assert "--model_name=tiny" in lines[-1]
    # Words end by column 7, what they name starts at column 9.
    assert all(x[:9].endswith(" ") and x[9] != " " for x in lines)


def test_it_does_not_tell_tensorflows_notes(result):
    assert "Assets written" not in result[1].stderr
