"""What an evaluation takes: everything is found and checked before work."""

import dataclasses
import functools
import hashlib
import math
import os
import pathlib
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

import clel_tf
from clel_tf import ood
from clel_tf.data import SHIFTS
from clel_tf.metrics import extractors
from clel_tf.trainers import runs
from clel_tf.trainers import train_lib
from clel_tf.trainers.run_directory import RunDirectory

_MADE_OF_TEST = ("interpolate", *SHIFTS)
_CHUNK = 1024  # images read at a time
_OF_LATENTS = {"joint_energy", "latent_neighbors", "neighbor_energy"}
ADAPTED = 50_000  # training images that scores learn from, at most


@dataclasses.dataclass
class Inputs:
    """A run, its data, and what it is compared by.

    Attributes:
        model: `CLEL`.
        data: `ImageData` of training and test images.
        ood: dict from specs to uint8 arrays `(n, ...)`, in the model's levels.
        extractors: dict from names to feature extractors.
        scores: dict from names to `OODScore`s, not adapted.
        request: dict for JSON. All that figures depend on.
    """

    model: object
    data: object
    ood: dict
    extractors: dict
    scores: dict
    request: dict

    def split(self, name):
        """uint8 images of "train" or "test", or None."""
        return getattr(self.data, f"x_{name}")


def load(options):
    """Loads and checks everything; see `Inputs`.

    Args:
        options: `evaluate_lib.Options`.

    Raises:
        ValueError, FileNotFoundError: for what does not fit or is missing.
    """
    model = runs.load_model(options.workdir)
    _check_options(options, model)
    data = _load_data(options, model)
    _check_data(data, model, options)
    used = Inputs(
        model=model,
        data=data,
        ood={s: _ood_images(s, model) for s in _ood_specs(options, data)},
        extractors=_extractors(options, data),
        scores=_scores(options, model),
        request={},
    )
    used.request = _request(options, used)
    return used


def to_unit(images, levels):
    """uint8 images as the midpoints of their intervals; floats as they are."""
    if images.dtype != np.uint8:
        return images
    return ((images + np.float32(0.5)) / levels).astype("float32")


def unit_batches(images, levels):
    """Yields float images in batches, of arrays and of streamed images."""
    for start in range(0, len(images), _CHUNK):
        yield to_unit(images[start : start + _CHUNK], levels)


def sha256_of_images(images):
    """SHA-256 of uint8 images, in memory or streamed, with their shape."""
    digest = hashlib.sha256(repr(tuple(images.shape)).encode())
    for start in range(0, len(images), _CHUNK):
        chunk = np.ascontiguousarray(images[start : start + _CHUNK])
        digest.update(chunk.data)
    return digest.hexdigest()


def _load_data(options, model):
    if options.data is not None:
        return _load(options.data, model)
    config = RunDirectory(options.workdir).stored_config()
    return train_lib.load_data(
        train_lib.TrainConfig(
            preset=config["preset"],
            recipe=config["recipe"],
            image_size=config.get("image_size"),
            max_images=config.get("max_images"),
        )
    )


def _check_options(options, model):
    steps = options.steps or model.sampler.sample_steps
    model.stretches(steps, options.rounds, options.final_steps)
    if not 0 < options.false_alarm_rate < 1:
        raise ValueError(
            "Expected --false_alarm_rate between 0 and 1; received: "
            f"{options.false_alarm_rate}."
        )


def _load(spec, model):
    """A set of images, of the model's size where they can be resized."""
    resized = train_lib.is_resizable(spec)
    return clel_tf.data.load(spec, model.image_shape[:2] if resized else None)


def _check_data(data, model, options):
    if data.image_shape != model.image_shape:
        raise ValueError(
            f"Expected data of the model's images, {model.image_shape}; "
            f"received: {data.spec} of {data.image_shape}."
        )
    if data.levels != model.levels:
        raise ValueError(
            f"Expected data of the model's {model.levels} levels; received: "
            f"{data.spec} of {data.levels}."
        )
    if data.x_test is None and (options.reference == "test" or options.ood):
        raise ValueError(
            "Expected data with a test split, for --reference=test and for "
            f"--ood; {data.spec} has none. --ood= asks for no sets."
        )
    if options.ood:
        held_out = len(held_out_images(data))
        needed = math.ceil(1 / options.false_alarm_rate) - 1
        if held_out < needed:
            raise ValueError(
                f"Expected at least {needed} images in every second of the "
                f"test split, for --false_alarm_rate="
                f"{options.false_alarm_rate}; received: {held_out}."
            )


def _ood_specs(options, data):
    specs = [
        f"{spec}:{data.spec}" if spec in _MADE_OF_TEST else spec
        for spec in options.ood
    ]
    doubled = {spec for spec in specs if specs.count(spec) > 1}
    if doubled:
        raise ValueError(
            f"Expected each --ood once; received twice: {sorted(doubled)}."
        )
    return specs


def _ood_images(spec, model):
    """The test part of a set, or all of one without, in the model's levels."""
    found = _load(spec, model)
    if found.image_shape != model.image_shape:
        raise ValueError(
            f"Expected --ood={spec} to hold images of {model.image_shape}, as "
            f"the run's; received: {found.image_shape}."
        )
    images = found.x_train if found.x_test is None else found.x_test
    if len(images) < 2:
        raise ValueError(
            f"Expected at least 2 images in --ood={spec}; received: "
            f"{len(images)}."
        )
    images = images[:]
    if found.levels == model.levels:
        return images
    # So that no score can tell sets by the number of their grey levels.
    return np.floor(to_unit(images, found.levels) * model.levels).astype(
        "uint8"
    )


def _extractors(options, data):
    names, found = options.extractors, {}
    if names is None:
        first = "digits" if data.spec == "digits" else "inception"
        names = [first, "pixels"]
    for name in names:
        try:
            found[name] = _extractor(name, options, data)
        except FileNotFoundError as error:
            named = options.inception or os.environ.get("CLEL_TF_INCEPTION")
            if options.extractors is not None or named:
                raise
            print(f"note      no figures of {name}. {error}")
    for name, extractor in found.items():
        _try(name, extractor, data)
    return found


def _try(name, extractor, data):
    """Raises unless an extractor takes images of the data."""
    images = to_unit(data.x_train[:2], data.levels)
    network = getattr(extractor, "model", None)
    shape = getattr(network, "input_shape", (None, *data.image_shape))
    if shape[1:] != data.image_shape and None not in shape[1:]:
        raise ValueError(
            f"Expected --extractor={name} to take images of "
            f"{data.image_shape}; it takes {shape[1:]}."
        )
    extractors.extract(extractor, images)


def _extractor(name, options, data):
    if name == "pixels":
        return extractors.Pixels()
    if name == "inception":
        return extractors.Inception(
            options.inception, allow_unknown=options.allow_unknown_inception
        )
    if name == "digits":
        if data.image_shape != (8, 8, 1) or data.y_train is None:
            raise ValueError(
                "Expected labelled digits for --extractor=digits; received: "
                f"{data.spec}."
            )
        return extractors.DigitsMargins(data.x_train, data.y_train, data.levels)
    kind, _, path = name.partition(":")
    if kind != "keras" or not path:
        raise ValueError(
            "Expected --extractor of inception, digits, pixels and keras:PATH; "
            f"received: {name!r}."
        )
    if not pathlib.Path(path).is_file():
        raise FileNotFoundError(f"Expected a Keras model's file {path}.")
    network = keras.saving.load_model(path, compile=False)
    return extractors.KerasFeatures(network, name=name)


def _scores(options, model):
    known: dict[str, Callable] = {
        "joint_energy": functools.partial(ood.JointEnergy, beta=options.beta),
        "marginal_energy": ood.MarginalEnergy,
        "typicality": ood.Typicality,
        "latent_neighbors": ood.LatentNeighbors,
        "neighbor_energy": ood.NeighborEnergy,
        "gradient_norm": ood.GradientNorm,
        "view_difference": ood.ViewDifference,
    }
    names = options.scores
    if names is None:
        names = [name for name in known if name != "view_difference"]
        if model.encoder is None:
            names = [name for name in names if name not in _OF_LATENTS]
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise ValueError(
            f"Expected --score of {', '.join(known)}; received: "
            f"{', '.join(unknown) or 'none'}."
        )
    if _OF_LATENTS & set(names):
        model.check_latents()
    return {name: known[name](name=name) for name in names}


def held_out_images(data):
    """uint8 images that thresholds are taken from: every second test image."""
    return data.x_test[::2]


def some(data, most):
    """At most so many training images, uint8, evenly spaced in the set."""
    return data.take(min(len(data.x_train), most)).x_train[:]


def _request(options, used):
    data = used.data
    return {
        "data": {
            "spec": data.spec,
            "train": len(data.x_train),
            "test": 0 if data.x_test is None else len(data.x_test),
            "image_shape": list(data.image_shape),
            "levels": data.levels,
            "sha256": {
                name: sha256_of_images(used.split(name))
                for name in ("train", "test")
                if used.split(name) is not None
            },
        },
        "clel_tf": clel_tf.__version__,
        "tensorflow": tf.__version__,
        "devices": [d.name for d in tf.config.list_logical_devices()],
        "beta": used.model.beta,
        "weights_sha256": extractors.sha256_of_weights(
            *(
                network
                for network in (
                    used.model.ema_energy_network,
                    used.model.ema_encoder,
                )
                if network is not None
            )
        ),
        "samples": _sample_settings(options, used.model),
        "reference": options.reference,
        "extractors": {
            name: extractor.identity()
            for name, extractor in used.extractors.items()
        },
        "ood": {
            spec: {"n": len(images), "sha256": sha256_of_images(images)}
            for spec, images in used.ood.items()
        },
        "scores": {
            name: score.get_config() for name, score in used.scores.items()
        },
        "false_alarm_rate": options.false_alarm_rate,
    }


def _sample_settings(options, model):
    return {
        "n": options.num_samples,
        "seed": options.seed,
        "num_steps": options.steps or model.sampler.sample_steps,
        "rounds": options.rounds,
        "final_steps": options.final_steps,
        "batch_size": options.batch_size,
        "sampler": model.sampler.get_config(),
        "energy": "marginal",
        "weights": "moving average",
        "start": "uniform noise",
    }
