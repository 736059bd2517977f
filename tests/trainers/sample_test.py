import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from clel_tf import presets
from clel_tf.trainers import sample_lib


@pytest.fixture(scope="module")
def model():
    config = presets.get("digits")
    for name in ("energy_network", "encoder"):
        config[name].update(widths=[8, 8], depths=[1, 1], head_width=16)
        config[name]["dtype"] = "float32"  # as samples are compared
    config["sampler"]["sample_steps"] = 3
    model = presets.build(config)
    model.compile(total_steps=1)
    return model


@pytest.fixture(scope="module")
def workdir(model, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run")
    model.save(workdir / "model.keras")
    return workdir


def test_the_binary_writes_the_models_images(model, workdir, tmp_path):
    out = tmp_path / "images.npz"
    out.write_text("an older file")
    flags = [f"--workdir={workdir}", f"--out={out}", "--overwrite"]
    flags += ["--num=5", "--seed=7", "--steps=2", "--batch_size=3"]
    result = subprocess.run(
        [sys.executable, "-m", "clel_tf.trainers.sample", *flags],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    with np.load(out) as file:
        images = file["images"]
    assert images.dtype == np.float32
    expected = model.sample(5, seed=7, num_steps=2)
    np.testing.assert_allclose(images, expected, atol=1e-5)
    assert f"{out}: 5 images in " in result.stdout.splitlines()[-1]
    assert list(tmp_path.iterdir()) == [out]


def test_a_picture_shows_the_images_in_a_square(workdir, tmp_path):
    out = tmp_path / "images.PNG"
    sample_lib.sample(sample_lib.Options(str(workdir), str(out), num=5))
    with Image.open(out) as picture:
        width, height = picture.size
    assert (width, height) == (3 * 49 - 1, 2 * 49 - 1)


def test_steps_are_the_runs_own_by_default(model, workdir, tmp_path):
    out = tmp_path / "images.npz"
    sample_lib.sample(sample_lib.Options(str(workdir), str(out), num=2))
    with np.load(out) as file:
        images = file["images"]
    np.testing.assert_allclose(images, model.sample(2), atol=1e-5)


def test_an_existing_file_stays(workdir, tmp_path):
    out = tmp_path / "images.npz"
    out.write_text("mine")
    with pytest.raises(FileExistsError, match="--overwrite"):
        sample_lib.sample(sample_lib.Options(str(workdir), str(out)))
    assert out.read_text() == "mine"
