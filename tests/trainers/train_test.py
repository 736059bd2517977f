import copy
import csv
import json
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import clel_tf
from clel_tf import callbacks
from clel_tf import presets
from clel_tf.trainers import recipes
from clel_tf.trainers import train_lib
from clel_tf.trainers.run_directory import RunDirectory

SMALL = [
    "energy_network.widths=[8, 12]",
    "energy_network.depths=[1, 1]",
    "energy_network.head_width=16",
    "encoder.widths=[8, 12]",
    "encoder.depths=[1, 1]",
    "encoder.head_width=16",
    "sampler.num_steps=2",
    "sampler.sample_steps=2",
    "replay_buffer.capacity=64",
    "recipe.batch_size=16",
]


def clel_train(*flags):
    return subprocess.run(
        [sys.executable, "-m", "clel_tf.trainers.train", *map(str, flags)],
        capture_output=True,
        text=True,
    )


def config(*assignments, steps=12, every=4, seed=0):
    recipe = recipes.override(
        recipes.read("digits"), [*SMALL, f"recipe.steps={steps}", *assignments]
    )
    return train_lib.TrainConfig(
        "digits",
        recipe,
        seed=seed,
        log_every=2,
        sample_every=every,
        checkpoint_every=every,
    )


def weights(run):
    return keras.saving.load_model(run / "model.keras").get_weights()


def snapshot(run):
    return {
        path: (path.stat().st_mtime_ns, path.stat().st_size)
        for path in pathlib.Path(run).rglob("*")
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("train") / "run"
    train_lib.train(config(), path)
    return path


def test_a_run_leaves_what_it_promises(run):
    for name in (
        "config.json",
        "metrics.csv",
        "timing.csv",
        "samples.png",
        "samples/step_000004.png",
        "samples/buffer_000004.png",
        "model.keras",
        "class_directions.npz",
        "checkpoints/step_000000012.weights.h5",
    ):
        assert (run / name).is_file(), name
    assert list((run / "tensorboard").glob("events.*"))
    directions = np.load(run / "class_directions.npz")["directions"]
    assert directions.shape == (10, 64)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1, rtol=1e-5)


def test_the_summary_tells_the_figures(run):
    summary = json.loads((run / "summary.json").read_text())
    assert summary["preset"] == "digits" and summary["steps"] == 12
    assert summary["nan_steps"] == 0
    assert summary["versions"]["keras"] == keras.__version__
    # Twelve steps of a tiny network draw no digits; the scale must show it.
    assert summary["frechet_distance"] > 5
    assert summary["frechet_distance_buffer"] > 5
    assert summary["frechet_distance_noise"] > 15
    assert summary["frechet_distance_test"] < 0.5
    assert 0 <= summary["precision"] < 0.2 and 0 <= summary["coverage"] < 0.2
    assert summary["memorised"] == 0
    assert abs(sum(summary["class_histogram"]) - 1) < 1e-9
    for name in ("train_seconds", "steps_per_second", "pixel_frechet_distance"):
        assert summary[name] > 0


def test_metrics_are_the_steps_own_values(run):
    with (run / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [2, 4, 6, 8, 10, 12]
    for row in rows:
        gap = float(row["energy_negative"]) - float(row["energy_positive"])
        assert float(row["energy_gap"]) == pytest.approx(gap, abs=1e-6)


def test_the_same_configuration_gives_the_same_run(run, tmp_path):
    train_lib.train(config(), tmp_path / "again")
    for a, b in zip(weights(run), weights(tmp_path / "again")):
        np.testing.assert_array_equal(a, b)
    for name in ("metrics.csv", "samples.png"):
        assert (tmp_path / "again" / name).read_bytes() == (
            run / name
        ).read_bytes()


def test_an_interrupted_run_continues_to_the_same_end(
    run, tmp_path, monkeypatch
):
    original = callbacks.SampleGrid.on_train_batch_end

    def interrupt(self, batch, logs=None):
        original(self, batch, logs)
        if int(self.model.step.numpy()) == 10:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.SampleGrid, "on_train_batch_end", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train_lib.train(config(), tmp_path / "run")
    assert not (tmp_path / "run" / "summary.json").exists()
    train_lib.train(config(), tmp_path / "run")
    for a, b in zip(weights(run), weights(tmp_path / "run")):
        np.testing.assert_array_equal(a, b)
    assert (tmp_path / "run" / "metrics.csv").read_bytes() == (
        run / "metrics.csv"
    ).read_bytes()


def test_the_binary_leaves_a_finished_run_as_it_is(tmp_path):
    flags = [f"--set={a}" for a in SMALL]
    flags += ["--steps=2", f"--workdir={tmp_path / 'run'}"]
    flags += ["--max_images=16", "--image_size=8"]
    first = clel_train(*flags)
    assert first.returncode == 0, first.stderr
    wanted = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (wanted["max_images"], wanted["image_size"]) == (16, 8)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    # Against so few digits, figures would compare with no others.
    assert summary["frechet_distance"] is None
    assert "energy +" in first.stdout and "samples.png" in first.stdout
    before = snapshot(tmp_path)
    second = clel_train(*flags)
    assert second.returncode == 0, second.stderr
    assert "nothing was changed" in second.stdout
    assert snapshot(tmp_path) == before


def test_another_configuration_is_refused_with_the_differences(run):
    before = snapshot(run)
    with pytest.raises(ValueError, match="seed: 0 there, 1 asked for"):
        train_lib.train(config(seed=1), run)
    assert snapshot(run) == before


def test_a_run_goes_on_in_its_own_precision(tmp_path):
    directory = RunDirectory(tmp_path)
    recipe = config().recipe
    decided = presets.with_dtypes(recipe)
    directory.create({"recipe": decided})
    other = copy.deepcopy(decided)
    other["encoder"]["dtype"] = "mixed_float16"
    assert directory.with_its_dtypes(recipe) == decided
    assert directory.with_its_dtypes(other) == other  # asked for, and refused
    assert RunDirectory(tmp_path / "new").with_its_dtypes(recipe) == recipe


def test_a_run_of_before_there_was_a_precision_is_continued(tmp_path, capsys):
    assignments = ["energy_network.dtype=float32", "encoder.dtype=float32"]
    train_lib.train(config(*assignments, steps=2, every=2), tmp_path)
    path = tmp_path / "config.json"
    stored = json.loads(path.read_text())
    for name in ("energy_network", "encoder"):
        del stored["recipe"][name]["dtype"]
    path.write_text(json.dumps(stored))
    before = snapshot(tmp_path)
    train_lib.train(
        config(steps=2, every=2), tmp_path
    )  # "auto" takes the run's
    assert "nothing was changed" in capsys.readouterr().out
    assert snapshot(tmp_path) == before


def test_a_directory_of_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="other files"):
        train_lib.train(config(), tmp_path)


def test_a_run_on_two_devices(tmp_path, monkeypatch):
    strategy = tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"],
        # Collective operations of several strategies in one process, as that of
        # all tests is, get into one another's way.
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )
    monkeypatch.setattr(train_lib, "_strategy", lambda: strategy)
    summary = train_lib.train(config(steps=2, every=2), tmp_path / "run")
    assert summary["steps"] == 2 and summary["nan_steps"] == 0


def test_a_run_on_other_images_takes_its_shape_from_them(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (32, 12, 10, 3))
    path = tmp_path / "images.npz"
    np.savez(path, x_train=images.astype("uint8"))
    recipe = recipes.for_data(config(steps=2).recipe, f"npz:{path}")
    summary = train_lib.train(
        train_lib.TrainConfig("digits", recipe), tmp_path / "run"
    )
    assert summary["frechet_distance"] is None
    model = keras.saving.load_model(tmp_path / "run" / "model.keras")
    assert model.image_shape == (12, 10, 3) and model.levels == 256


def write_images(folder, count=24):
    rng = np.random.default_rng(0)
    for i in range(count):
        pixels = rng.integers(0, 256, (12 + i % 3, 14, 3)).astype("uint8")
        Image.fromarray(pixels).save(folder / f"{i:02}.png")


def test_a_run_takes_some_of_a_folders_images_resized(tmp_path):
    write_images(tmp_path)
    spec = f"folder:{tmp_path}"
    recipe = recipes.for_data(config(steps=2).recipe, spec)
    options = {"image_size": 10, "max_images": 18}
    wanted = train_lib.TrainConfig("digits", recipe, **options)
    data = train_lib.load_data(wanted)
    assert data.x_train.shape == (18, 10, 10, 3)
    everything = clel_tf.data.load(spec, (10, 10)).x_train
    np.testing.assert_array_equal(data.x_train[-1], everything[17 * 24 // 18])


def test_a_recipes_own_size_is_what_a_folder_is_resized_to(tmp_path):
    write_images(tmp_path)
    recipe = config(steps=2).recipe
    recipe["data"] = f"folder:{tmp_path}"
    recipe["energy_network"]["image_shape"] = [9, 8, 3]
    data = train_lib.load_data(train_lib.TrainConfig("digits", recipe))
    assert data.image_shape == (9, 8, 3)


def test_interpolations_are_of_a_recipes_own_size(tmp_path):
    write_images(tmp_path, count=101)
    recipe = config(steps=2).recipe
    recipe["data"] = f"interpolate:folder:{tmp_path}"
    recipe["energy_network"]["image_shape"] = [9, 8, 3]
    data = train_lib.load_data(train_lib.TrainConfig("digits", recipe))
    assert data.x_train.shape == (1, 9, 8, 3)


def test_another_size_than_the_recipes_is_refused():
    wanted = train_lib.TrainConfig("digits", config().recipe, image_size=9)
    with pytest.raises(ValueError, match=r"\[8, 8\]; received: 9. --data"):
        train_lib.load_data(wanted)


class Brightness:
    # A model whose latents are the mean bytes of the channels.

    def latents(self, images, views, seed):
        return images.mean(axis=(1, 2))


def test_class_directions_keep_rare_classes(tmp_path, monkeypatch):
    labels = np.zeros(1000, np.int64)
    labels[[500, 501]] = 3
    images = np.zeros((1000, 2, 2, 3), np.uint8)
    images[..., 0] = 10 + np.arange(1000)[:, np.newaxis, np.newaxis] % 2
    images[labels == 3] = [0, 6, 8]
    data = clel_tf.data.ImageData("two classes", images, labels)
    monkeypatch.setattr(train_lib, "_DIRECTION_IMAGES", 10)
    path = tmp_path / "directions.npz"
    train_lib._save_class_directions(Brightness(), data, path)
    with np.load(path) as saved:
        assert saved["labels"].tolist() == [0, 3]
        expected = [[1.0, 0.0, 0.0], [0.0, 0.6, 0.8]]
        np.testing.assert_allclose(saved["directions"], expected, atol=1e-6)


@pytest.mark.parametrize("name", ["image_size", "max_images"])
def test_sizes_are_positive(name):
    with pytest.raises(ValueError, match=f"{name} to be a positive int"):
        train_lib.TrainConfig("digits", config().recipe, **{name: 0})


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--workdir=x", "--wrong=1"], "wrong"),
        ([], "workdir"),
        (["--workdir=x", "--steps=0"], "steps"),
        (["--workdir=x", "--preset=nothing"], "digits"),
        (["--workdir=x", "--max_images=5000"], "1437"),
        (["--workdir=x", "--image_size=9"], "received: 9"),
    ],
)
def test_the_binary_answers_a_wrong_flag_in_one_line(flags, words, tmp_path):
    result = clel_train(*flags)
    assert result.returncode != 0
    # Before it, TensorFlow tells of its own start.
    line = result.stderr.strip().splitlines()[-1]
    assert line.startswith("clel-train: error: ") and words in line
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "assignment, words",
    [
        ("sampler.stepsize=5", "stepsize"),
        ("smapler.step_size=5", "smapler"),
        ("sampler.step_size", "part.name=value"),
        ("sampler.step_size=-1", "step_size"),
        ("recipe.energy_optimizer.rate=1", "rate"),
        ("recipe.steps=many", "steps"),
        ("recipe.step=50", "step"),
        ("recipe=5", "object"),
        ("sampler.step_size.x=1", "no parts"),
        ("recipe.batch_size=65", "at most 64 chains"),
        ("energy_network.image_shape=[16, 16, 1]", "16, 16, 1"),
        ("data=npz:/nowhere.npz", "nowhere"),
    ],
)
def test_wrong_recipes_are_refused_before_any_work(assignment, words, tmp_path):
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        train_lib.train(config(assignment), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_recipes_come_from_json_files(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(recipes.read("digits")))
    assert recipes.read(str(path)) == recipes.read("digits")
    path.write_text("{")
    with pytest.raises(ValueError, match="not JSON"):
        recipes.read(str(path))
    path.write_text('{"dataa": "digits"}')
    with pytest.raises(ValueError, match="dataa"):
        recipes.read(str(path))
