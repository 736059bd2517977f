import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from clel_tf import presets
from clel_tf import random
from clel_tf import samplers
from clel_tf.export import export_sampler

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


@pytest.fixture(scope="module")
def model():
    config = presets.get("digits")
    for name in ("energy_network", "encoder"):
        config[name].update(widths=[8, 8], depths=[1, 1], head_width=16)
        # In bfloat16, two graphs of one network differ by more than rounding
        # of float32, which is what samples are compared to here.
        config[name]["dtype"] = "float32"
    model = presets.build(config)
    model.compile(total_steps=1)
    # Averages unlike the live networks', and no two variables alike.
    generator = np.random.default_rng(0)
    for variable in _averaged(model):
        noise = generator.uniform(0.001, 0.01, variable.shape)
        variable.assign_add(noise.astype("float32"))
    return model


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    model.sampler.jit_compile = True  # what "auto" is where there is a GPU
    directory = tmp_path_factory.mktemp("served") / "tiny"
    path = export_sampler(model, directory, num_steps=STEPS)
    model.sampler.jit_compile = "auto"
    return path


@pytest.fixture(scope="module")
def signatures(path):
    loaded = tf.saved_model.load(path)
    yield loaded.signatures  # which do not keep the variables alive


def _averaged(model):
    return model.ema_energy_network.variables + model.ema_encoder.variables


def _nodes(path):
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((path / "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0].graph_def
    functions = graph.library.function
    nodes = [*graph.node, *(n for f in functions for n in f.node_def)]
    return nodes, functions


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


def test_conditional_samples_are_of_the_latents_directions(model, signatures):
    latents = np.random.default_rng(0).normal(size=(3, 64)).astype("float32")
    served = signatures["sample_conditional"](
        seed=tf.constant(random.row_seeds(0, 3)), latents=tf.constant(latents)
    )["images"]
    expected = model.sample(3, num_steps=STEPS, latents=5.0 * latents)
    np.testing.assert_allclose(served, expected, atol=1e-5)


def test_a_row_does_not_depend_on_the_others(signatures):
    seeds = tf.constant(random.row_seeds(0, 4))
    batch = signatures["sample"](seed=seeds)["images"]
    alone = signatures["sample"](seed=seeds[2:3])["images"]
    np.testing.assert_allclose(alone[0], batch[2], atol=1e-5)


@pytest.mark.parametrize("name", ["latents", "score"])
def test_latents_and_scores_are_the_models(model, signatures, name):
    images = np.random.default_rng(0).uniform(size=(3, 8, 8, 1))
    images = images.astype("float32")
    served = signatures[name](images=tf.constant(images))[name]
    np.testing.assert_allclose(served, getattr(model, name)(images), atol=1e-6)


def test_every_input_and_output_is_a_batch(signatures):
    inputs = {k: s.structured_input_signature[1] for k, s in signatures.items()}
    assert {k: sorted(v) for k, v in inputs.items()} == {
        "sample": ["seed"],
        "serving_default": ["seed"],
        "sample_conditional": ["latents", "seed"],
        "energy": ["images"],
        "latents": ["images"],
        "score": ["images"],
    }
    specs = [s for v in inputs.values() for s in v.values()]
    specs += [o for s in signatures.values() for o in s.outputs]
    assert all(s.shape.rank >= 1 and s.shape[0] is None for s in specs)


@pytest.mark.parametrize(
    "name, rows, message",
    [
        ("sample", {"seed": (0,)}, "Expected `seed` of at least one row"),
        (
            "sample_conditional",
            {"seed": (1,), "latents": (2, 64)},
            r"Expected `seed` and `latents` .* received shapes:\] \[1\] \[2 64",
        ),
        ("sample_conditional", {"seed": (2,), "latents": (2, 3)}, r"\[2,3\]"),
        ("energy", {"images": (2, 16, 16, 1)}, r"images \[2,16,16,1\]"),
        ("energy", {"images": (8, 8, 1)}, r"images \[8,8,1\]"),
    ],
)
def test_wrong_rows_and_shapes_are_refused(signatures, name, rows, message):
    dtypes = {"seed": tf.int64}
    request = {k: tf.ones(v, dtypes.get(k, "float32")) for k, v in rows.items()}
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        signatures[name](**request)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_latents_without_direction_are_refused(signatures, value):
    latents = np.ones([2, 64], "float32")
    latents[1] = value
    with pytest.raises(tf.errors.InvalidArgumentError, match="Expected `laten"):
        signatures["sample_conditional"](
            seed=tf.constant([1, 2], tf.int64), latents=tf.constant(latents)
        )


@pytest.mark.parametrize("value", [-0.1, 255.0, np.nan])
def test_images_out_of_range_are_refused(signatures, value):
    images = tf.fill([2, 8, 8, 1], np.float32(value))
    message = r"Expected `images` in \[0, 1\]"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        signatures["score"](images=images)


def test_nothing_but_averaged_variables_is_stored(model, path):
    prefix = str(path / "variables" / "variables")
    reader = tf.train.load_checkpoint(prefix)
    names = set(reader.get_variable_to_shape_map())
    names.remove("_CHECKPOINTABLE_OBJECT_GRAPH")
    averaged = {v.numpy().tobytes() for v in _averaged(model)}
    stored = {reader.get_tensor(name).tobytes() for name in names}
    assert len(averaged) == len(_averaged(model))
    assert len(stored) == len(names) > 20
    assert stored < averaged  # raw kernels and singular vectors stay behind


def test_the_graph_needs_no_python_state_or_xla(path):
    nodes, functions = _nodes(path)
    ops = {node.op for node in nodes}
    assert "Conv2D" in ops and ops & {"While", "StatelessWhile"}
    assert not [op for op in ops if "PyFunc" in op]
    assert not [op for op in ops if "Random" in op]
    assert not [f for f in functions if f.attr["_XlaMustCompile"].b]
    assert not [n for n in nodes if n.attr["_XlaMustCompile"].b]


def test_versions_follow_each_other_and_xla_is_opt_in(model, path):
    directory, first = path.parent, (path / "saved_model.pb").read_bytes()
    second = export_sampler(model, directory, num_steps=1, jit_compile=True)
    assert (path.name, second.name) == ("1", "2")
    assert sorted(p.name for p in directory.iterdir()) == ["1", "2"]
    assert (path / "saved_model.pb").read_bytes() == first
    assert any(f.attr["_XlaMustCompile"].b for f in _nodes(second)[1])


def test_a_failing_export_leaves_nothing(model, tmp_path, monkeypatch):
    class Broken(samplers.SGLD):
        def run(self, *args):
            assert list((tmp_path / "served").glob("tmp_*"))
            raise RuntimeError("broken")

    monkeypatch.setattr(model, "sampler", Broken())
    with pytest.raises(RuntimeError, match="broken"):
        export_sampler(model, tmp_path / "served")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "options",
    [
        {"num_steps": 0},
        {"num_steps": 1.5},
        {"num_steps": 2**40},
        {"jit_compile": "auto"},
    ],
)
def test_wrong_options_are_refused(model, tmp_path, options):
    with pytest.raises(ValueError, match=f"`{next(iter(options))}`"):
        export_sampler(model, tmp_path / "served", **options)
    assert not list(tmp_path.iterdir())


def test_a_file_is_no_directory_of_versions(model, tmp_path):
    (tmp_path / "served").write_text("mine")
    with pytest.raises(FileExistsError, match="is a file"):
        export_sampler(model, tmp_path / "served")
    assert (tmp_path / "served").read_text() == "mine"


def test_keras_own_export_serves_energies(model, tmp_path):
    model.export(tmp_path / "keras", verbose=False)
    images = np.random.default_rng(0).uniform(size=(3, 8, 8, 1))
    images = images.astype("float32")
    loaded = tf.saved_model.load(tmp_path / "keras")
    expected = model.predict(images, verbose=0)
    np.testing.assert_allclose(loaded.serve(images), expected, rtol=1e-5)
