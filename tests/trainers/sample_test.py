import dataclasses
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from clel_tf import data
from clel_tf import presets
from clel_tf.samplers import MALA
from clel_tf.samplers import SGLD
from clel_tf.samplers.energies import Conditional
from clel_tf.samplers.energies import Inpaint
from clel_tf.trainers import runs
from clel_tf.trainers import sample_lib
from clel_tf.trainers.steering import Steering

LABELS = np.array([0, 3])
PRINTING = """
import dataclasses, json
from clel_tf.trainers import sample, sample_lib
sample_lib.sample = lambda options: print(json.dumps(
    dataclasses.asdict(options)))
sample.run()
"""
DIRECTIONS = np.random.default_rng(0).normal(size=(2, 64)).astype("float32")


@pytest.fixture(scope="module")
def model():
    config = presets.get("digits")
    for name in ("energy_network", "encoder"):
        config[name].update(widths=[8, 8], depths=[1, 1], head_width=16)
        config[name]["dtype"] = "float32"  # as samples are compared
    config["sampler"]["sample_steps"] = 3
    model = presets.build(config)
    model.compile(total_steps=1)
    model.measure_energy_scale(data.load("digits").x_test[:8])
    return model


@pytest.fixture(scope="module")
def workdir(model, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run")
    model.save(workdir / "model.keras")
    path = workdir / "class_directions.npz"
    np.savez(path, directions=DIRECTIONS, labels=LABELS)
    return workdir


@pytest.fixture(scope="module")
def loaded(workdir):
    return runs.load_model(workdir)


@pytest.fixture
def sample(workdir, loaded, tmp_path, monkeypatch):
    # Loaded once, so that graphs are compiled once too.
    monkeypatch.setattr(runs, "load_model", lambda path: loaded)

    def run(name, steering, **options):
        out = tmp_path / name
        options = {"num": 4, "seed": 7, **options}
        sample_lib.sample(
            sample_lib.Options(
                str(workdir), str(out), steering=Steering(**steering), **options
            )
        )
        if out.suffix == ".png":
            with Image.open(out) as picture:
                return np.asarray(picture.convert("L"))
        with np.load(out) as file:
            return file["images"]

    return run


def cells(picture, columns):
    # Of a picture of rows: its images, by row and column.
    strip = picture[:, -49 * columns + 1 :]
    rows = -(-strip.shape[0] // 49)
    padded = np.pad(strip, ((0, 1), (0, 1))).reshape(rows, 49, columns, 49)
    return padded.transpose(0, 2, 1, 3)[:, :, :48:6, :48:6]


def test_the_binary_writes_the_models_images(model, workdir, tmp_path):
    out = tmp_path / "images.npz"
    out.write_text("an older file")
    flags = [f"--workdir={workdir}", f"--out={out}", "--overwrite"]
    flags += ["--num=5", "--seed=7", "--steps=2", "--batch_size=3"]
    flags += ["--energy=class(3) | ~class(0)", "--ratio=0.5"]
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
    zero, three = (Conditional(z, ratio=0.5) for z in DIRECTIONS)
    expected = model.sample(5, seed=7, num_steps=2, energy=three | ~zero)
    np.testing.assert_allclose(images, expected, atol=1e-5)
    told = result.stdout.splitlines()
    assert [line.split()[0] for line in told] == ["sampling", "shares", "wrote"]
    assert f"{out}: 5 images in " in told[-1]
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


def test_every_flag_arrives_where_it_is_meant(tmp_path):
    flags = {
        "workdir": "run",
        "out": "a.png",
        "num": 5,
        "steps": 6,
        "seed": 7,
        "batch_size": 8,
        "overwrite": True,
        "rounds": 2,
        "final_steps": 3,
        "anneal": True,
        "mala": True,
        "diagnostics": "b.png",
    }
    steering = {
        "class_id": ["3", "5"],
        "class_data": "digits",
        "like": ["c.png"],
        "energy": "class(3)",
        "interpolate": ["d.png", "e, f.png"],
        "inpaint": ["g.png"],
        "mask": "left",
        "denoise": ["h.png"],
        "sigma": 0.25,
        "super_resolution": ["digits#0-3"],
        "factor": 4,
        "ratio": 0.5,
    }
    assert set(steering) == {x.name for x in dataclasses.fields(Steering)}
    values = {**flags, **steering, "interpolate": ["d.png", '"e, f.png"']}
    printing = subprocess.run(
        [sys.executable, "-c", PRINTING, *map(as_flag, values.items())],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    received = json.loads(printing.stdout)
    assert received == {**flags, "steering": steering}


def as_flag(item):
    name, value = item
    return f"--{name}={','.join(value) if isinstance(value, list) else value}"


def test_shares_are_of_the_terms_that_images_follow(sample, capsys):
    images, zeros, threes = (
        sample(f"{i}.npz", {"energy": text, "ratio": 20.0}, num=50)
        for i, text in enumerate(
            ["class(0) | class(3)", "class(0)", "class(3)"]
        )
    )
    # A row has the noise of its seed, whichever term it follows.
    apart = [np.abs(images - x).max(axis=(1, 2, 3)) for x in (zeros, threes)]
    assert np.minimum(*apart).max() < 1e-4 < np.maximum(*apart).min()
    share = 2 * np.sum(apart[0] < apart[1])
    told = f"shares    {share}%, {100 - share}% of the images"
    assert 20 < share < 80 and told in capsys.readouterr().out


def test_classes_are_groups_of_the_models_own_images(sample, loaded):
    images = sample("a.npz", {"class_id": ["3", "0"]}, num=5)
    latents = np.repeat(DIRECTIONS[[1, 0]], 3, axis=0)
    expected = loaded.sample(6, latents=latents, seed=7)
    np.testing.assert_allclose(images, expected, atol=1e-5)


def test_a_picture_has_a_row_of_each_class(sample):
    steering = {"class_id": ["all"]}
    images = sample("a.npz", steering, num=6)
    picture = sample("a.png", steering, num=6)
    shown = cells(picture, 3).reshape(6, 8, 8)
    np.testing.assert_array_equal(shown, np.floor(images[..., 0] * 256))
    caption = picture[:, : -49 * 3 + 1]
    assert caption[:48].min() < 64 and caption[49:].min() < 64


def test_a_picture_shows_all_images_of_a_group(sample):
    images = sample("a.npz", {"class_id": ["3"]}, num=20)
    picture = sample("a.png", {"class_id": ["3"]}, num=20)
    shown = cells(picture, 10).reshape(20, 8, 8)
    np.testing.assert_array_equal(shown, np.floor(images[..., 0] * 256))


def test_inpainting_keeps_pixels_and_shows_what_it_had(sample, loaded):
    steering = {"inpaint": ["digits#0", "digits#3"], "mask": "top"}
    images = sample("a.npz", steering)
    given = (data.load("digits").x_test[[0, 0, 3, 3]] + np.float32(0.5)) / 17
    np.testing.assert_allclose(images[:, 4:], given[:, 4:], rtol=1e-6)
    assert np.abs(images[:, :4] - given[:, :4]).mean() > 0.05
    mask = np.zeros((8, 8, 1))
    mask[:4] = 1
    energy = Inpaint(given.astype("float32"), mask)
    expected = loaded.sample(4, energy=energy, seed=7)
    np.testing.assert_allclose(images, expected, atol=1e-5)
    shown = cells(sample("a.png", steering), 4)
    assert (shown[:, 0, :4] == 128).all()
    means = np.stack([images[:2].mean(axis=0), images[2:].mean(axis=0)])
    expected = np.floor(256 * means[..., 0])
    np.testing.assert_allclose(shown[:, 3], expected, atol=1)


def test_interpolation_shows_both_ends(sample):
    steering = {"interpolate": ["digits#0", "digits#1"]}
    shown = cells(sample("a.png", steering, num=3), 5)
    ends = (data.load("digits").x_test[:2, ..., 0] + 0.5) / 17
    expected = np.floor(256 * ends)
    np.testing.assert_allclose(shown[0, [0, 4]], expected, atol=1)


@pytest.mark.parametrize("class_id", [None, ["3"]])
def test_annealed_noise_falls_to_zero_on_the_last_steps(
    sample, loaded, class_id
):
    received = sample("a.npz", {"class_id": class_id}, steps=8, anneal=True)
    sampler = loaded.sampler
    noise = keras.optimizers.schedules.PolynomialDecay(
        sampler.noise_scale, 8, 0.0
    )
    annealed = SGLD(sampler.step_size, noise)
    latents = None if class_id is None else DIRECTIONS[1]
    expected = loaded.sample(
        4, latents=latents, seed=7, num_steps=8, sampler=annealed
    )
    np.testing.assert_allclose(received, expected, atol=1e-5)


def test_adjusted_chains_have_the_models_temperature(sample, loaded):
    images = sample("a.npz", {}, mala=True)
    sampler = loaded.sampler
    temperature = sampler.noise_scale**2 / (2 * sampler.step_size)
    adjusted = MALA(sampler.step_size, temperature)
    start = loaded.sample(4, seed=7, num_steps=3)
    expected = loaded.sample(
        4, seed=8, num_steps=3, sampler=adjusted, initial=start
    )
    np.testing.assert_allclose(images, expected, atol=1e-5)


@pytest.mark.parametrize("num, steps", [(66, 8), (1, 3)])
def test_diagnostics_are_of_as_many_chains_as_fit(
    sample, tmp_path, capsys, num, steps
):
    page = tmp_path / "page.png"
    steering = {"class_id": ["3"] * min(num, 3)}
    sample("a.npz", steering, num=num, steps=steps, diagnostics=str(page))
    traced = {66: 63, 1: 1}[num]
    assert f"{page}: traces of {traced} chains" in capsys.readouterr().out
    with Image.open(page) as picture:
        assert picture.format == "PNG"


@pytest.mark.parametrize(
    "steering, options, told",
    [
        ({"class_id": ["1"]}, {}, "class out of 0, 3"),
        ({"class_id": ["0"], "ratio": float("nan")}, {}, "`ratio` finite"),
        ({"energy": "__import__('os')"}, {}, "a composition"),
        ({"energy": "-class(3)"}, {}, "a composition"),
        ({"denoise": ["digits#0"], "sigma": 0.0}, {}, "`sigma` above 0"),
        ({}, {"rounds": 2}, "chains are augmented"),
        ({}, {"final_steps": 4}, r"`final_steps` in \[0, 3\]"),
        ({}, {"mala": True, "anneal": True}, "--anneal without --mala"),
        ({}, {"rounds": 2, "anneal": True}, "--anneal without"),
        ({}, {"diagnostics": "{out}"}, "another file than --out"),
        ({}, {"diagnostics": "page.jpg"}, "--diagnostics ending in .png"),
    ],
)
def test_what_does_not_fit_is_told_and_nothing_written(
    sample, tmp_path, steering, options, told
):
    out = str(tmp_path / "a.png")
    options = {
        name: out if value == "{out}" else value
        for name, value in options.items()
    }
    with pytest.raises(ValueError, match=told):
        sample("a.png", steering, **options)
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_told_before_any_work(
    sample, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "arviz_stats", None)
    with pytest.raises(ValueError, match="pip install 'clel_tf"):
        sample("a.png", {}, diagnostics=str(tmp_path / "page.png"))
    assert not list(tmp_path.iterdir())
