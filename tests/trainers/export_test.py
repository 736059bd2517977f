import json
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
    directions = np.eye(10, 64, dtype="float32")
    np.savez(
        folder / "class_directions.npz",
        directions=directions,
        labels=np.arange(10),
    )
    flags = ["--workdir=.", "--export_dir=served/tiny", "--steps=2"]
    return folder, export(folder, *flags)


def export(folder, *flags):
    return subprocess.run(
        [sys.executable, "-m", "clel_tf.trainers.export", *flags],
        check=True,
        capture_output=True,
        text=True,
        cwd=folder,
    )


def test_the_binary_exports_a_first_version(model, result):
    folder, _ = result
    assert [p.name for p in (folder / "served" / "tiny").iterdir()] == ["1"]
    loaded = tf.saved_model.load(folder / "served" / "tiny" / "1")
    seeds = tf.constant(random.row_seeds(0, 3))
    images = loaded.signatures["sample"](seed=seeds)["images"]
    expected = model.sample(3, num_steps=2)
    np.testing.assert_allclose(images, expected, atol=1e-5)


def test_a_runs_classes_are_exported_with_it(model, result):
    folder, _ = result
    loaded = tf.saved_model.load(folder / "served" / "tiny" / "1")
    images = loaded.signatures["sample_class"](
        seed=tf.constant(random.row_seeds(0, 2)),
        class_id=tf.constant([3, 9], tf.int64),
    )["images"]
    latents = np.eye(10, 64, dtype="float32")[[3, 9]]
    expected = model.sample(2, num_steps=2, latents=latents)
    np.testing.assert_allclose(images, expected, atol=1e-5)


@pytest.mark.slow
def test_a_models_file_is_exported_with_what_is_asked_for(result):
    folder, _ = result
    flags = ["--model=model.keras", "--export_dir=served/other"]
    flags += ["--steps=3", "--max_steps=7", "--langevin_temperature=0.25"]
    flags += ["--ood_threshold=0.5", "--dtype=mixed_bfloat16"]
    export(folder, *flags)
    path = folder / "served" / "other" / "1" / "signatures.json"
    facts = json.loads(path.read_text())
    assert (facts["num_steps"], facts["max_steps"]) == (3, 7)
    assert facts["langevin_temperature"] == pytest.approx(0.25)
    assert facts["ood_threshold"] == 0.5
    assert facts["energy_network_dtype"] == "mixed_bfloat16"
    assert "sample_class" not in facts["signatures"]  # the run has them


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
