import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from clel_tf import models
from clel_tf import random
from clel_tf import samplers
from clel_tf.export import export_sampler
from clel_tf.export import lint_saved_model

STEPS = 4

# What a server has: the SavedModel, TensorFlow and nothing of ours.
CLIENT = """
import sys
sys.modules["keras"] = sys.modules["clel_tf"] = None
import numpy as np
import tensorflow as tf

path, requests, replies = sys.argv[1:]
loaded = tf.saved_model.load(path)
seed = tf.constant(np.load(requests))
images = loaded.signatures["serving_default"](seed=seed)["images"]
energy = loaded.signatures["energy"](images=images)["energy"]
np.savez(replies, images=images.numpy(), energy=energy.numpy())
"""


def test_a_process_with_tensorflow_alone_draws_the_models_images(
    model, path, tmp_path
):
    requests, replies = tmp_path / "seeds.npy", tmp_path / "replies.npz"
    np.save(requests, random.row_seeds(3, 5))
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    subprocess.run(
        [sys.executable, "-c", CLIENT, path, requests, replies],
        check=True,
        env=clean,
        cwd=tmp_path,
    )
    served = np.load(replies)
    expected = model.sample(5, seed=3, num_steps=STEPS)
    np.testing.assert_allclose(served["images"], expected, atol=1e-5)
    np.testing.assert_allclose(
        served["energy"], model.predict(expected, verbose=0), rtol=1e-5
    )


XLA_CHAINS = (
    "sample",
    "sample_conditional",
    "sample_like",
    "inpaint",
    "refine",
)


def test_nothing_but_averaged_variables_is_stored(averaged, path):
    prefix = str(path / "variables" / "variables")
    reader = tf.train.load_checkpoint(prefix)
    names = set(reader.get_variable_to_shape_map())
    names.remove("_CHECKPOINTABLE_OBJECT_GRAPH")
    values = {v.numpy().tobytes() for v in averaged}
    stored = {reader.get_tensor(name).tobytes() for name in names}
    assert len(values) == len(averaged)
    assert len(stored) == len(names) > 20
    assert stored < values  # raw kernels and singular vectors stay behind


def test_the_graph_is_fit_to_be_served(path):
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((path / "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0].graph_def
    bodies = [f.node_def for f in graph.library.function]
    ops = {node.op for nodes in [graph.node, *bodies] for node in nodes}
    assert "Conv2D" in ops and ops & {"While", "StatelessWhile"}
    assert lint_saved_model(path) == []


@pytest.mark.slow
def test_xla_is_where_it_was_asked_for_only(xla_path):
    xla = [f"{name}_xla" for name in XLA_CHAINS]
    assert lint_saved_model(xla_path, xla) == []
    assert lint_saved_model(xla_path, xla[1:]) != []


def test_versions_follow_each_other(model, tmp_path):
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "saved_model.pb").write_text("a graph")
    (tmp_path / "notes.txt").write_text("mine")
    assert export_sampler(model, tmp_path, num_steps=1).name == "8"
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["7", "8", "notes.txt"]
    assert (tmp_path / "7" / "saved_model.pb").read_text() == "a graph"


@pytest.mark.parametrize("broken", ["graph", "lint"])
def test_a_failing_export_leaves_nothing(model, tmp_path, monkeypatch, broken):
    def fail(*_, **__):
        assert list((tmp_path / "a" / "served").glob("tmp_*"))
        raise OSError("disk is full")

    class Stateful(samplers.SGLD):
        def run(self, energy_fn, initial, keys, *_):
            return tf.random.uniform(tf.shape(initial)), None

    if broken == "graph":
        monkeypatch.setattr(tf.saved_model, "save", fail)
    else:
        monkeypatch.setattr(model, "sampler", Stateful())
    with pytest.raises((OSError, ValueError), match="full|RandomUniform draws"):
        export_sampler(model, tmp_path / "a" / "served", num_steps=1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "options",
    [
        {"num_steps": 0},
        {"num_steps": 1.5},
        {"num_steps": 2**40},
        {"max_steps": 0},
        {"langevin_temperature": -1.0},
        {"langevin_temperature": np.nan},
        {"class_latents": np.ones([3, 5])},
        {"class_latents": np.zeros([3, 64])},
        {"class_latents": np.ones([0, 64])},
        {"langevin_temperature": "high"},
        {"ood_threshold": np.inf},
        {"ood_threshold": 1e300},
        {"ood_threshold": "high"},
    ],
)
def test_wrong_options_are_refused(model, tmp_path, options):
    with pytest.raises(ValueError, match=f"`{next(iter(options))}`"):
        export_sampler(model, tmp_path / "served", **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", "/", "my model", "a:b", ".hidden"])
def test_a_directorys_name_is_the_models(model, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="name can be a served model's"):
        export_sampler(model, name)
    assert not list(tmp_path.iterdir())


def test_a_version_is_no_directory_of_versions(model, path):
    before = sorted(path.rglob("*"))
    with pytest.raises(ValueError, match="is a version itself"):
        export_sampler(model, path)
    assert sorted(path.rglob("*")) == before


def test_a_file_is_no_directory_of_versions(model, tmp_path):
    (tmp_path / "served").write_text("mine")
    with pytest.raises(FileExistsError, match="is a file"):
        export_sampler(model, tmp_path / "served")
    assert (tmp_path / "served").read_text() == "mine"


@pytest.mark.slow
def test_a_bfloat16_model_is_served_in_float32(model, tmp_path):
    model.save_to_preset(tmp_path / "preset", samples=0)
    trained, model = (
        models.CLEL.from_preset(tmp_path / "preset", dtype=dtype)
        for dtype in ("mixed_bfloat16", "float32")
    )
    # Live weights, which are not what is served, unlike the averaged ones.
    for variable in trained.energy_network.trainable_variables:
        variable.assign(0.5 * variable)
    path = export_sampler(trained, tmp_path / "served", num_steps=STEPS)
    loaded = tf.saved_model.load(path)
    seeds = tf.constant(random.row_seeds(0, 3))
    images = loaded.signatures["sample"](seed=seeds)["images"]
    expected = model.sample(3, num_steps=STEPS)
    np.testing.assert_allclose(images, expected, atol=1e-5)
    assert not _ops_of_dtype(path, tf.bfloat16)


def _ops_of_dtype(path, dtype):
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((path / "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0].graph_def
    return [
        node.op
        for function in graph.library.function
        for node in function.node_def
        if node.attr["T"].type == dtype.as_datatype_enum
    ]


def test_keras_own_export_serves_energies(model, images, tmp_path):
    model.export(tmp_path / "keras", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "keras")
    expected = model.predict(images, verbose=0)
    np.testing.assert_allclose(loaded.serve(images), expected, rtol=1e-5)
    assert lint_saved_model(tmp_path / "keras") == []
