import contextlib
import copy
import csv
import dataclasses
import json
import pathlib
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import clel_tf
from clel_tf import callbacks
from clel_tf import presets
from clel_tf.trainers import class_directions
from clel_tf.trainers import evaluate_lib
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
    "energy_network.dtype=float32",
    "encoder.dtype=float32",
]


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
        "checkpoints/step_000000012.npz",
    ):
        assert (run / name).is_file(), name
    assert list((run / "tensorboard").glob("events.*"))
    directions = np.load(run / "class_directions.npz")["directions"]
    assert directions.shape == (10, 64)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1, rtol=1e-5)


def test_the_summary_tells_the_figures(run):
    summary = json.loads((run / "summary.json").read_text())
    assert summary["preset"] == "digits" and summary["steps"] == 12
    assert summary["nan_steps"] == 0 and summary["incidents"] == 0
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


@pytest.mark.slow
def test_a_full_disk_ends_a_run_that_continues_with_room(
    run, tmp_path, monkeypatch, full_disk
):
    original = callbacks.SampleGrid.on_train_batch_end
    disk = contextlib.ExitStack()

    def fill(self, batch, logs=None):
        original(self, batch, logs)
        if int(self.model.step.numpy()) == 6:
            disk.enter_context(full_disk(50_000))

    with disk, monkeypatch.context() as patch:
        patch.setattr(callbacks.SampleGrid, "on_train_batch_end", fill)
        with pytest.raises(OSError, match="8.npz could not .* last checkpoint"):
            train_lib.train(config(), tmp_path / "run")
    checkpoints = (tmp_path / "run" / "checkpoints").iterdir()
    assert [path.name for path in checkpoints] == ["step_000000004.npz"]
    train_lib.train(config(), tmp_path / "run")
    for a, b in zip(weights(run), weights(tmp_path / "run")):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_a_run_starts_from_anothers_end(run, tmp_path, capsys):
    with pytest.raises(ValueError, match="12 there, 14 .*--init_from=") as more:
        train_lib.train(config(steps=14), run)
    assert str(run) in str(more.value)
    wanted = dataclasses.replace(config(steps=2, every=2), init_from=str(run))
    train_lib.train(wanted, tmp_path / "run")
    old, new = (
        keras.saving.load_model(folder / "model.keras").replay_buffer.images
        for folder in (run, tmp_path / "run")
    )
    # Two steps move at most 16 chains each.
    assert (old == new).all((1, 2, 3)).sum() >= 32


def test_a_checkpoint_of_another_run_is_refused(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "summary.json").unlink()
    path = tmp_path / "run" / "config.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(ValueError, match="seed: 0 there, 1 asked for"):
        train_lib.train(config(seed=1), tmp_path / "run")


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


def test_a_run_of_before_there_was_a_precision_or_a_guard_is_continued(
    run, tmp_path, capsys
):
    old = tmp_path / "run"
    shutil.copytree(run, old)
    stored = json.loads((old / "config.json").read_text())
    for name in ("energy_network", "encoder"):
        # It was the only one.
        assert stored["recipe"][name].pop("dtype") == "float32"
    del stored["guard"]
    (old / "config.json").write_text(json.dumps(stored))
    before = snapshot(old)
    # Where it is open, the precision is the run's own.
    open_ones = "energy_network.dtype=auto", "encoder.dtype=auto"
    train_lib.train(config(*open_ones), old)
    assert "nothing was changed" in capsys.readouterr().out
    assert snapshot(old) == before


@pytest.mark.parametrize(
    "guard, soften",
    [("learning_rate", "learning_rate"), ("reseed", None), ("off", "no guard")],
)
def test_the_guard_is_as_asked_for_and_before_all_that_saves(
    guard, soften, tmp_path, monkeypatch
):
    given = []
    monkeypatch.setattr(train_lib, "_finish", lambda *_: None)
    monkeypatch.setattr(
        clel_tf.models.CLEL,
        "fit",
        lambda *_, callbacks, **__: given.extend(callbacks),
    )
    wanted = dataclasses.replace(config(every=20), guard=guard)
    train_lib.train(wanted, tmp_path)
    first, *others = given
    guards = [x for x in given if isinstance(x, callbacks.DivergenceGuard)]
    assert [x.soften for x in guards] == ([] if guard == "off" else [soften])
    if guards:
        assert guards == [first] and len(others) == 5
        # It looks whenever a checkpoint is made.
        assert first.every == 10 and first.path.parent == tmp_path


def test_callbacks_and_a_model_class_of_ones_own(tmp_path, monkeypatch):
    given = []

    class Own(clel_tf.models.CLEL):
        def fit(self, *_, callbacks, **__):
            given.extend(callbacks)

    watch = keras.callbacks.Callback()
    monkeypatch.setattr(train_lib, "_finish", lambda model, *_: type(model))
    assert train_lib.train(config(), tmp_path, None, [watch], Own) is Own
    assert given[-1] is watch


def test_another_guard_than_there_is_is_refused():
    with pytest.raises(ValueError, match="reseed, off; received: 'on'"):
        dataclasses.replace(config(), guard="on")


@pytest.mark.slow
def test_a_run_that_goes_wrong_again_and_again_ends_with_a_diagnosis(tmp_path):
    assignment = "recipe.energy_optimizer.learning_rate=1e30"
    wanted = config(assignment, steps=400, every=10)
    words = "after 5 restorations.*a learning rate that is too high"
    with pytest.raises(callbacks.DivergenceError, match=words):
        train_lib.train(wanted, tmp_path / "run")
    lines = (tmp_path / "run" / "incidents.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    actions = [record["action"] for record in records]
    assert actions == ["restored"] * 5 + ["gave up"]
    assert [record["seen_at"] for record in records] == list(range(10, 70, 10))
    # The device knows which of the steps between two looks it was.
    assert records[0]["step"] < 5
    assert not (tmp_path / "run" / "summary.json").exists()


def test_a_directory_of_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="other files"):
        train_lib.train(config(), tmp_path)


@pytest.mark.slow
def test_a_run_on_two_devices(tmp_path):
    strategy = tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"],
        # Collective operations of several strategies in one process, as that of
        # all tests is, get into one another's way.
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )
    wanted = config(steps=2, every=2)
    summary = train_lib.train(wanted, tmp_path / "run", strategy)
    assert summary["steps"] == 2 and summary["nan_steps"] == 0


@pytest.mark.slow
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


@pytest.mark.parametrize(
    "policy", ["raise", pytest.param("skip", marks=pytest.mark.slow)]
)
def test_a_file_lost_while_training_ends_it_or_is_counted(
    policy, tmp_path, monkeypatch, capsys
):
    (tmp_path / "images").mkdir()
    write_images(tmp_path / "images")
    spec = f"folder:{tmp_path / 'images'}"
    recipe = recipes.for_data(config(steps=12).recipe, spec)
    wanted = train_lib.TrainConfig(
        "digits",
        recipe,
        image_size=8,
        checkpoint_every=1,
        data_faults=policy,
    )
    monkeypatch.setattr(clel_tf.data.limits, "should_stream", lambda *_: True)
    fit = train_lib._fit

    def lose_and_fit(*arguments):
        (tmp_path / "images" / "07.png").unlink()
        fit(*arguments)

    monkeypatch.setattr(train_lib, "_fit", lose_and_fit)
    run = tmp_path / "run"
    if policy == "raise":
        with pytest.raises(OSError, match="07.png.*last checkpoint is whole"):
            train_lib.train(wanted, run)
        assert not (run / "summary.json").exists()
    else:
        assert train_lib.train(wanted, run)["faulty_images"] == 1
        assert "Skipping" in capsys.readouterr().out


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
    monkeypatch.setattr(class_directions, "_IMAGES", 10)
    path = tmp_path / "directions.npz"
    class_directions.save_class_directions(Brightness(), data, path)
    with np.load(path) as saved:
        assert saved["labels"].tolist() == [0, 3]
        expected = [[1.0, 0.0, 0.0], [0.0, 0.6, 0.8]]
        np.testing.assert_allclose(saved["directions"], expected, atol=1e-6)


@pytest.mark.parametrize("name", ["image_size", "max_images"])
def test_sizes_are_positive(name):
    with pytest.raises(ValueError, match=f"{name} to be a positive int"):
        train_lib.TrainConfig("digits", config().recipe, **{name: 0})


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


@pytest.mark.slow
@pytest.mark.parametrize(
    "teacher, column",
    [
        ("byol", "byol"),
        ("supervised", "supervised_contrastive"),
        ("none", None),
    ],
)
def test_a_teachers_run_continues_and_is_judged(teacher, column, tmp_path):
    small = [x for x in SMALL if teacher != "none" or x[:8] != "encoder."]
    recipe = recipes.with_teacher(presets.get("digits"), teacher)
    recipe = recipes.override(recipe, [*small, "recipe.steps=4"])
    wanted = train_lib.TrainConfig(
        "digits", recipe, log_every=1, sample_every=2, checkpoint_every=2
    )
    train_lib.train(wanted, tmp_path / "whole")
    # The same, from its first checkpoint on.
    shutil.copytree(tmp_path / "whole", tmp_path / "stopped")
    for name in ("summary.json", "checkpoints/step_000000004.npz"):
        (tmp_path / "stopped" / name).unlink()
    train_lib.train(wanted, tmp_path / "stopped")
    metrics = [tmp_path / n / "metrics.csv" for n in ("whole", "stopped")]
    assert metrics[0].read_text() == metrics[1].read_text()
    for a, b in zip(*(weights(path.parent) for path in metrics), strict=True):
        np.testing.assert_array_equal(a, b)
    columns = metrics[0].read_text().splitlines()[0].split(",")
    assert "nt_xent" not in columns and (column is None or column in columns)
    directions = tmp_path / "whole" / "class_directions.npz"
    assert directions.is_file() == (teacher != "none")
    options = evaluate_lib.Options(
        str(tmp_path / "whole"),
        str(tmp_path / "report"),
        num_samples=40,
        steps=2,
        ood=["blur"],
        scores=None,
    )
    report = evaluate_lib.evaluate(options)
    assert ("representation" in report) == (teacher != "none")
    assert ("joint_energy" in report["ood"]["scores"]) == (teacher != "none")


def test_a_teacher_that_needs_labels_says_so_of_data_without(tmp_path):
    images = np.zeros((20, 8, 8, 1), "uint8")
    np.savez(tmp_path / "data.npz", x_train=images)
    recipe = recipes.with_teacher(config().recipe, "supervised")
    recipe = recipes.for_data(recipe, f"npz:{tmp_path / 'data.npz'}")
    wanted = train_lib.TrainConfig("digits", recipe)
    with pytest.raises(ValueError, match="labels .*npz:"):
        train_lib.train(wanted, tmp_path / "run")
    assert not (tmp_path / "run").exists()
