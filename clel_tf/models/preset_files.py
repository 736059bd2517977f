"""Presets in directories: configuration, averaged weights, a model card."""

import copy
import json
import pathlib

import keras

from clel_tf import files
from clel_tf import presets
from clel_tf.backend import require_tensorflow
from clel_tf.models import model_card
from clel_tf.models.common import flat_layers
from clel_tf.models.precision import resolve_dtype

_CONFIG = "config.json"
_NETWORKS = ("energy_network", "encoder")
_SCORE = "ood_score.weights.h5"


def load(cls, preset, seed, dtype):
    """Builds a model from a recipe's name or a directory; see `CLEL`."""
    require_tensorflow(cls.__name__)
    if preset in presets.list():
        recipe = presets.with_dtypes(presets.get(preset), dtype)
        return presets.build(recipe, seed)
    directory = pathlib.Path(preset)
    path = directory / _CONFIG
    if not path.is_file():
        raise ValueError(
            f"Expected the name of a preset ({', '.join(presets.list())}) or "
            f"a directory that holds {_CONFIG}; received: {str(preset)!r}."
        )
    config = json.loads(path.read_text())
    if dtype is not None:
        _set_dtype(config, dtype)
    model = cls.from_config(config)
    for name in _networks(model):
        weights = str(directory / f"{name}.weights.h5")
        getattr(model, name).load_weights(weights)
        getattr(model, f"ema_{name}").load_weights(weights)
    if model.ood_score.weights:
        keras.saving.load_weights(model.ood_score, str(directory / _SCORE))
    return model


def in_dtype(model, dtype):
    """A copy of a model, its inference half, that computes in another dtype.

    Args:
        model: `CLEL`.
        dtype: dtype of all networks; see `clel_tf.models.resolve_dtype`.

    Returns:
        `CLEL`, the same one if its networks are of this dtype.

    Raises:
        ValueError: if a network has to change and can't.
    """
    policy = keras.dtype_policies.get(resolve_dtype(dtype))
    config = keras.saving.serialize_keras_object(model)["config"]
    before = copy.deepcopy(config)
    if _is_float32(policy) and _all_float32(model):
        return model
    _set_dtype(config, dtype)
    if config == before:
        return model
    copied = type(model).from_config(config)
    if _is_float32(policy) and not _all_float32(copied):
        raise ValueError(
            f"Expected networks that pass on their `dtype`, to be of {dtype!r};"
            " received some with layers of another."
        )
    for name in _networks(model):
        weights = getattr(model, f"ema_{name}").get_weights()
        getattr(copied, name).set_weights(weights)
        getattr(copied, f"ema_{name}").set_weights(weights)
    copied.ood_score.set_weights(model.ood_score.get_weights())
    return copied


def _networks(model):
    """The names of the networks that a model has."""
    return [name for name in _NETWORKS if getattr(model, name) is not None]


def _of_chosen_dtype(names, teacher):
    """Those of them whose dtype can be chosen: not that of a frozen encoder."""
    is_frozen = teacher is not None and not teacher.trains
    return [name for name in names if name != "encoder" or not is_frozen]


def _is_float32(layer):
    return layer.compute_dtype == "float32"


def _all_float32(model):
    names = _of_chosen_dtype(_networks(model), model.teacher)
    networks = [getattr(model, name) for name in names]
    if hasattr(model.ood_score, "reference"):
        networks.append(model.ood_score.reference)
    layers = [x for network in networks for x in flat_layers(network)]
    return all(map(_is_float32, layers))


def _set_dtype(config, dtype):
    policy = keras.dtype_policies.get(resolve_dtype(dtype))
    names = [name for name in _NETWORKS if config[name] is not None]
    teacher = keras.saving.deserialize_keras_object(config.get("teacher"))
    names = _of_chosen_dtype(names, teacher)
    networks = {name: config[name] for name in names}
    score = config.get("ood_score") or {"config": {}}
    if "reference" in score["config"]:  # of energies, a network as well
        networks["ood_score.reference"] = score["config"]["reference"]
    for name, network in networks.items():
        options = network["config"]
        if "dtype" not in options:
            raise ValueError(
                f"Expected a model whose {name} takes a `dtype`, to be of "
                f"{dtype!r}; received a {network['class_name']}."
            )
        options["dtype"] = keras.dtype_policies.serialize(policy)


def save(model, directory, about, samples):
    """Writes a preset aside and renames it; see `CLEL.save_to_preset`."""
    with files.new_directory(directory) as aside:
        config = keras.saving.serialize_keras_object(model)["config"]
        (aside / _CONFIG).write_text(json.dumps(config, indent=2) + "\n")
        for name in _networks(model):
            network = getattr(model, f"ema_{name}")
            network.save_weights(str(aside / f"{name}.weights.h5"))
        if model.ood_score.weights:
            keras.saving.save_weights(model.ood_score, str(aside / _SCORE))
        model_card.write(model, aside, about, samples)
