"""What an exported version has for the operator of a server."""

import json

import keras
import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2
from tensorflow_serving.config import model_server_config_pb2

from clel_tf.export import png
from clel_tf.export.operator_readme import operator_readme
from clel_tf.models.common import flat_layers
from clel_tf.version import __version__

# Rows that a server runs at a time: fewer are filled up to the next size, so
# each is a shape to meet, and the largest has to be the limit.
BATCH_SIZES = (1, 2, 4, 8, 16, 32)
WARM_UP = "assets.extra/tf_serving_warmup_requests"

_BATCHING = """\
# For --enable_batching --enable_per_model_batching_parameters. Rows of requests
# that wait together run together, up to the largest size.
max_batch_size {{ value: {largest} }}
# How long the first request waits for others, in microseconds. A chain takes
# far longer, so waiting costs little.
batch_timeout_micros {{ value: 10000 }}
# Batches that may wait. Requests beyond are refused as UNAVAILABLE, at once.
max_enqueued_batches {{ value: 64 }}
# Batches are filled up to one of these. The last one has to be max_batch_size.
{sizes}
"""
# Signatures whose chains are another one's that is warmed up.
_AS_OTHERS = ("sample_class", "sample_like")


def write(directory, path, module):
    """Writes them.

    Args:
        directory: `pathlib.Path` of the version, as long as it is written.
        path: `pathlib.Path` that it will have.
        module: the exported `SamplerModule`.
    """
    facts = _facts(directory, path, module)
    sizes = [f"allowed_batch_sizes: {size}" for size in BATCH_SIZES]
    texts = {
        "signatures.json": json.dumps(facts, indent=2) + "\n",
        "models.config": _models_config(path.parent),
        "batching_params.pbtxt": _BATCHING.format(
            largest=BATCH_SIZES[-1], sizes="\n".join(sizes)
        ),
        "README.md": operator_readme(facts, path, _megabytes(directory)),
    }
    for name, text in texts.items():
        (directory / name).write_text(text)
    _write_warm_up(directory / WARM_UP, path.parent.name, module)


def _facts(directory, path, module):
    """What clients may want to know, for signatures.json."""
    model, sampler = module.model, module.sampler
    classes = module.class_latents
    return {
        "model": path.parent.name,
        "version": int(path.name),
        "image_shape": list(model.image_shape),
        "num_steps": module.num_steps,
        "max_steps": module.max_steps,
        "sampler": keras.saving.serialize_keras_object(sampler),
        "langevin_temperature": sampler.langevin_temperature,
        "ratio": module.ratio,
        "candidates": module.candidates.count,
        "guided_passes": _guided_passes(module),
        "classes": None if classes is None else len(classes),
        "ood_score": model.ood_score.description,
        "ood_threshold": module.ood_threshold,
        "energy_network_dtype": _dtypes(model.ema_energy_network),
        "max_rows": BATCH_SIZES[-1],
        "clel_tf": __version__,
        "tensorflow": tf.__version__,
        "signatures": _signatures(directory, module),
    }


def _guided_passes(module):
    """Passes through the network that a row with guidance takes."""
    first = module.candidate_steps
    return first * module.candidates.count + module.num_steps - first


def _dtypes(network):
    """The Keras policy that tells what a network's layers compute in."""
    compute = {layer.compute_dtype for layer in flat_layers(network)}
    mixed = sorted(compute - {"float32"})
    return f"mixed_{mixed[0]}" if mixed else "float32"


def _signatures(directory, module):
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((directory / "saved_model.pb").read_bytes())
    (meta_graph,) = saved.meta_graphs
    return {
        name: {
            "inputs": _tensors(meta_graph.signature_def[name].inputs),
            "outputs": _tensors(meta_graph.signature_def[name].outputs),
        }
        for name in ["serving_default", *module.signatures]
    }


def _tensors(infos):
    return {
        name: {
            "dtype": tf.as_dtype(info.dtype).name,
            "shape": [
                None if d.size < 0 else d.size for d in info.tensor_shape.dim
            ],
            "tensor": info.name,
        }
        for name, info in sorted(infos.items())
    }


def _models_config(base_path):
    config = model_server_config_pb2.ModelServerConfig()
    model = config.model_config_list.config.add()
    model.name = base_path.name
    model.base_path = str(base_path)
    model.model_platform = "tensorflow"
    model.model_version_policy.latest.num_versions = 1
    return text_format.MessageToString(config)


def _write_warm_up(path, name, module):
    """Requests of one row, for each graph that every server can run.

    The server makes them before a new version becomes available, so that no
    client waits for the graphs' optimization. Each is made at every start, so
    of the long chains there is one of each kind of energy.
    """
    path.parent.mkdir(exist_ok=True)
    examples = _examples(module)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, (_, specs) in module.signatures.items():
            if not _needs_warm_up(signature):
                continue
            log = prediction_log_pb2.PredictionLog()
            request = log.predict_log.request
            request.model_spec.name = name
            request.model_spec.signature_name = signature
            for spec in specs:
                value = tf.make_tensor_proto(examples[spec.name], spec.dtype)
                request.inputs[spec.name].CopyFrom(value)
            writer.write(log.SerializeToString())


def _needs_warm_up(signature):
    if signature.endswith("_xla"):
        return False
    plain = signature.removesuffix("_png")
    if plain.startswith("sample") or plain == "inpaint":
        # What there is of PNG files in them is in `refine_png` too.
        return signature == plain and plain not in _AS_OTHERS
    return True


def _examples(module):
    """A row of every input there is."""
    images = np.full((1, *module.model.image_shape), 0.5, "float32")
    examples = {
        "seed": [1],
        "class_id": [0],
        "num_steps": [1],
        "images": images,
        "mask": np.ones((1, *images.shape[1:3], 1), "float32"),
    }
    if module.latent_dimension is not None:
        examples["latents"] = np.ones((1, module.latent_dimension), "float32")
    if module.class_latents is not None:
        classes = len(module.class_latents)
        examples["weights"] = np.ones((1, classes), "float32")
    if images.shape[-1] in png.CHANNELS:
        examples["image_bytes"] = png.encode(images).numpy()
    return examples


def _megabytes(directory):
    paths = directory.rglob("*")
    return sum(p.stat().st_size for p in paths if p.is_file()) / 1e6
