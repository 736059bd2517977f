import json
import shlex

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import prediction_log_pb2
from tensorflow_serving.config import model_server_config_pb2

from clel_tf.export import operator_files


@pytest.fixture(scope="module")
def facts(path):
    return json.loads((path / "signatures.json").read_text())


def test_warm_up_replays_what_each_signature_needs(path, signatures):
    records = tf.data.TFRecordDataset(str(path / operator_files.WARM_UP))
    replayed = []
    for record in records.as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record)
        request = log.predict_log.request
        name = request.model_spec.signature_name
        assert request.model_spec.name == "tiny"
        inputs = {
            key: tf.constant(tf.make_ndarray(value))
            for key, value in request.inputs.items()
        }
        outputs = signatures[name](**inputs)
        assert all(len(values) == 1 for values in outputs.values())
        replayed.append(name)
    # Of chains as long as a sample's, one of each energy.
    assert sorted(replayed) == [
        "energy",
        "energy_png",
        "inpaint",
        "latents",
        "latents_png",
        "ood_score",
        "ood_score_png",
        "refine",
        "refine_png",
        "sample",
        "sample_composed",
        "sample_conditional",
        "sample_first_or_second",
    ]


def test_the_model_list_is_the_servers_own_format(path):
    text = (path / "models.config").read_text()
    config = text_format.Parse(
        text, model_server_config_pb2.ModelServerConfig()
    )
    (model,) = config.model_config_list.config
    assert model.name == "tiny" and model.model_platform == "tensorflow"
    assert model.base_path == str(path.parent)
    assert (path.parent / "1").is_dir()


def test_batches_are_of_sizes_that_a_server_accepts(path):
    lines = (path / "batching_params.pbtxt").read_text().splitlines()
    lines = [line for line in lines if not line.startswith("#")]
    sizes = [int(x.split(":")[1]) for x in lines if "allowed" in x]
    assert sizes == sorted(set(sizes))
    # Else the server does not load the model.
    assert f"max_batch_size {{ value: {sizes[-1]} }}" in lines
    assert all(x.count("{") == x.count("}") for x in lines)


def test_signatures_are_told_as_they_are_saved(facts, signatures):
    assert set(facts["signatures"]) == set(signatures)
    for name, signature in signatures.items():
        inputs = signature.structured_input_signature[1]
        told = facts["signatures"][name]
        assert set(told["inputs"]) == set(inputs)
        assert set(told["outputs"]) == set(signature.structured_outputs)
        for key, spec in inputs.items():
            assert told["inputs"][key]["shape"] == spec.shape.as_list()
            assert told["inputs"][key]["dtype"] == spec.dtype.name
    assert facts["num_steps"] == 4 and facts["max_steps"] == 6
    assert facts["classes"] == 3 and facts["ood_threshold"] == 0.25


def test_the_readmes_requests_are_right(path, facts, signatures):
    text = (path / "README.md").read_text()
    assert "$" not in text
    bodies = [
        json.loads(shlex.split(line.rstrip("\\"))[2])
        for line in text.splitlines()
        if line.startswith("curl -d")
    ]
    assert len(bodies) == 2
    for body in bodies:
        name = body.get("signature_name", "serving_default")
        dtype = {"seed": np.int64, "images": np.float32}
        inputs = {
            k: tf.constant(np.array(v, dtype[k]))
            for k, v in body["inputs"].items()
        }
        assert signatures[name](**inputs)
    for name in facts["signatures"]:
        assert f"| `{name}` |" in text
    assert f"--model_config_file={path}/models.config" in text
