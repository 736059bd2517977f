"""Named recipes: data, networks, sampler, losses and optimizers.

A recipe is a plain dict, as it stands in a run's `config.json`; each of its
parts holds the arguments of the class of that name; `chain_augmentation` holds
what differs there from `augmentation`, and `teacher` its `kind` of `TEACHERS`
besides its arguments ("frozen" takes the `path` of the encoder's file; of
"frozen" and "none" there is no part `encoder`). A number of `sampler` may be a
schedule of the chain's step, as Keras writes it: {"class_name": "CosineDecay",
"config": {...}}. The networks' `dtype` is "auto" where it is not given. A JSON
file of the same form is a recipe of one's own; `clel-train --set
part.name=value` changes one.
"""

import builtins
import copy
import pathlib
from typing import TYPE_CHECKING

import keras

from clel_tf.data.statistics import STATISTICS
from clel_tf.layers.simclr_augmentation import SimCLRAugmentation
from clel_tf.models.energy_resnet import EnergyResNet
from clel_tf.models.precision import resolve_dtype
from clel_tf.models.resnet_encoder import ResNetEncoder
from clel_tf.optimizers.recipe import DEFAULTS
from clel_tf.samplers.replay_buffer import ReplayBuffer
from clel_tf.samplers.sgld import SGLD
from clel_tf.teachers.byol import BYOL
from clel_tf.teachers.frozen import Frozen
from clel_tf.teachers.masked import Masked
from clel_tf.teachers.simclr import SimCLR
from clel_tf.teachers.supervised import Supervised

TEACHERS = {
    "simclr": SimCLR,
    "byol": BYOL,
    "masked": Masked,
    "supervised": Supervised,
    "frozen": Frozen,
    "none": None,
}
# Those with weights of their own.
_SEEDED = ("byol", "masked")
# Those that train no encoder of the recipe.
_WITHOUT_ENCODER = ("frozen", "none")

if TYPE_CHECKING:
    from clel_tf.models.clel import CLEL


def _sampler(**options):
    """SGLD, whose schedules stand in a recipe as their configurations."""
    schedule = keras.optimizers.schedules.deserialize
    return SGLD(
        **{
            name: schedule(value) if isinstance(value, dict) else value
            for name, value in options.items()
        }
    )


_PARTS = {
    "energy_network": EnergyResNet,
    "encoder": ResNetEncoder,
    "sampler": _sampler,
    "replay_buffer": ReplayBuffer,
    "augmentation": SimCLRAugmentation,
    "chain_augmentation": SimCLRAugmentation,
}

# Mean and standard deviation of scikit-learn's digits, (k + 1/2) / 17.
_DIGITS_IMAGES = {"image_shape": [8, 8, 1], "mean": 0.317, "std": 0.354}

_IMAGENET32 = "tfds:imagenet_resized/32x32"
_EMA_HALF_LIFE = 20_000  # images, in the paper's code


def _paper(size, data, statistics, side=32):
    """The paper's recipe: an energy network's size on a data set."""
    mean, std = STATISTICS[statistics]
    images = {"image_shape": [side, side, 3], "mean": mean, "std": std}
    images = {name: [*value] for name, value in images.items()}
    network = {
        name: [*value] if isinstance(value, tuple) else value
        for name, value in EnergyResNet.sizes[size].items()
    }
    return {
        "data": data,
        "energy_network": {**images, **network, "dense_stddev": 0.01},
        # From 64x64 on the reference keeps ImageNet's stem.
        "encoder": {
            **images,
            "depths": 18,
            "stem_size": 3 if side < 64 else 7,
        },
        "sampler": {
            "step_size": 100.0,
            "noise_scale": 1e-3,
            "num_steps": 60,
            "sample_steps": 600,  # ten rounds of 60
        },
        "replay_buffer": {
            "capacity": 10_000,
            "reinitialize_probability": 0.001,
            "max_age": None,
        },
        "augmentation": {
            "flavour": "reference",
            "crop_scale": [0.08, 1.0],
            "crop_ratio": [3 / 4, 4 / 3],
            "brightness": 0.4,
            "contrast": 0.4,
            "saturation": 0.4,
            "hue": 0.1,
            "jitter_probability": 0.8,
            "grayscale_probability": 0.2,
            "flip_probability": 0.5,
        },
        "chain_augmentation": {},
        "teacher": {"kind": "simclr", "temperature": 0.2},
        "model": {
            "chain_augmentation_probability": 1.0,
            "alpha": 1.0,
            "beta": 0.01,
            "encoder_l2": 5e-4,
            "ema_decay": 0.5 ** (DEFAULTS["batch_size"] / _EMA_HALF_LIFE),
            "ema_start": _EMA_HALF_LIFE // DEFAULTS["batch_size"],
            "levels": 256,
        },
        "recipe": copy.deepcopy(DEFAULTS),
    }


_PRESETS = {
    "digits": {
        "data": "digits",
        "energy_network": {
            **_DIGITS_IMAGES,
            "widths": [32, 64, 128],
            "depths": [1, 1, 1],
            "head_width": 256,
            "feature_dim": 64,
            "latent_dim": 64,
            "dense_stddev": 0.1,
        },
        "encoder": {
            **_DIGITS_IMAGES,
            "widths": [32, 64, 128],
            "depths": [1, 1, 1],
            "head_width": 256,
            "latent_dim": 64,
        },
        "sampler": {
            "step_size": 20.0,
            "noise_scale": 0.01,
            "num_steps": 10,
            "sample_steps": 140,
        },
        "replay_buffer": {
            "capacity": 128,
            "reinitialize_probability": 0.0,
            "max_age": 200,
        },
        "augmentation": {
            "crop_scale": [0.6, 1.0],
            "crop_ratio": [1.0, 1.0],
            "integer_boxes": False,
            "clip": True,
            "brightness": 0.0,
            "contrast": 0.3,
            "saturation": 0.0,
            "hue": 0.0,
            "jitter_probability": 1.0,
            "grayscale_probability": 0.0,
            "flip_probability": 0.0,
        },
        "chain_augmentation": {},
        "teacher": {"kind": "simclr", "temperature": 0.2},
        "model": {
            "chain_augmentation_probability": 0.0,
            "alpha": 1.0,
            "beta": 0.001,
            "encoder_l2": 0.0,
            "ema_decay": 0.995,
            "ema_start": 100,
            "levels": 17,
        },
        "recipe": {
            "steps": 2080,
            "batch_size": 64,
            "energy_optimizer": {
                "learning_rate": 1e-3,
                "warmup_steps": 50,
                "final_fraction": 0.0,
            },
            "encoder_optimizer": {"learning_rate": 3e-2},
        },
    },
    "cifar10_small": _paper("small", "tfds:cifar10", "cifar10"),
    "cifar10_base": _paper("base", "tfds:cifar10", "cifar10"),
    "cifar10_large": _paper("large", "tfds:cifar10", "cifar10"),
    "imagenet32_base": _paper("base", _IMAGENET32, "imagenet32"),
    "imagenet32_large": _paper("large", _IMAGENET32, "imagenet32"),
    "celeba64_base": _paper("base", "tfds:celeb_a", "celeb_a", side=64),
}


def list() -> builtins.list[str]:
    """Names of the presets, sorted."""
    return sorted(_PRESETS)


def get(name: str) -> dict:
    """A preset's recipe: a dict of the caller's own."""
    if name not in _PRESETS:
        raise ValueError(
            f"Expected a preset ({', '.join(list())}); received: {name!r}."
        )
    return copy.deepcopy(_PRESETS[name])


def networks(config: dict) -> tuple[str, ...]:
    """Names of the parts of a recipe that are networks.

    Args:
        config: dict.

    Returns:
        Tuple of "energy_network", and "encoder" where one is trained.
    """
    kind = config.get("teacher", {}).get("kind", "simclr")
    if kind in _WITHOUT_ENCODER:
        return ("energy_network",)
    return "energy_network", "encoder"


def upgraded(config: dict) -> dict:
    """A copy of a recipe, as it would be written now.

    Those of before there was a choice of teachers hold the settings of SimCLR
    in the part "model".

    Args:
        config: dict.

    Returns:
        dict.
    """
    config = copy.deepcopy(config)
    model = config.get("model", {})
    names = [n for n in ("temperature", "gather_latents") if n in model]
    of_teacher = {name: model.pop(name) for name in names}
    config.setdefault("teacher", {"kind": "simclr", **of_teacher})
    return config


def with_dtypes(
    config: dict, dtype: str | keras.DTypePolicy | None = None
) -> dict:
    """A copy of a recipe whose networks' precision is decided.

    Args:
        config: dict.
        dtype: a dtype of both networks, or None for what the recipe says; see
            `clel_tf.models.resolve_dtype`.

    Returns:
        dict.
    """
    config = copy.deepcopy(config)
    for name in networks(config):
        part = config.setdefault(name, {})
        part["dtype"] = resolve_dtype(dtype or part.get("dtype", "auto"))
    return config


def build(
    config: dict, seed: int = 0, model_class: "type[CLEL] | None" = None
) -> "CLEL":
    """Builds the untrained model of a recipe.

    Args:
        config: dict, as `get` returns it.
        seed: int. Seed of the initial weights, the buffer and training.
        model_class: a class derived from `CLEL` to build instead, or None.

    Returns:
        `CLEL`.

    Raises:
        ValueError: if a part is unknown, or lacks, does not know or refuses an
            argument.
    """
    from clel_tf.models.clel import CLEL

    for name in config:
        if name not in (*_PARTS, "teacher", "data", "model", "recipe"):
            raise ValueError(f"Expected parts of a recipe; received: {name!r}.")
    config = with_dtypes(upgraded(config))
    seeded = {
        "energy_network": seed,
        "encoder": seed + 1,
        "replay_buffer": seed,
    }
    teacher = _teacher(config["teacher"], seed + 2)
    parts = {"encoder": None, **teacher}
    for name, part in _PARTS.items():
        options = dict(config.get(name, {}))
        if name == "encoder" and name not in networks(config):
            if options:
                raise ValueError(
                    "Expected no part 'encoder' of a recipe whose teacher is "
                    f"{config['teacher']['kind']!r}; received one."
                )
            continue
        if name == "chain_augmentation":
            if not options:
                continue
            options = {**config.get("augmentation", {}), **options}
        if name in seeded:
            options["seed"] = seeded[name]
        parts[name] = _call(name, part, options)
    options = {**config.get("model", {}), "seed": seed}
    recipe = config.get("recipe", {})
    options = {**options, **parts, "recipe": recipe}
    return _call("model", model_class or CLEL, options)


def _teacher(part, seed):
    """A recipe's teacher, and the encoder if it brings one."""
    options = dict(part)
    kind = options.pop("kind", None)
    if kind not in TEACHERS:
        raise ValueError(
            f"Recipe part 'teacher': expected `kind` of {', '.join(TEACHERS)}; "
            f"received: {kind!r}."
        )
    found = {}
    if kind == "frozen":
        found["encoder"] = _load_encoder(options.pop("path", None))
    if kind == "none":
        if options:
            raise ValueError(
                "Recipe part 'teacher': expected no settings of 'none'; "
                f"received: {', '.join(options)}."
            )
        return {"teacher": None}
    if kind in _SEEDED:
        options.setdefault("seed", seed)
    return {**found, "teacher": _call("teacher", TEACHERS[kind], options)}


def _load_encoder(path):
    if not path or not pathlib.Path(path).is_file():
        raise ValueError(
            "Recipe part 'teacher': expected `path`, an encoder's .keras file; "
            f"received: {path!r}."
        )
    return keras.saving.load_model(path, compile=False)


def _call(name, part, options):
    try:
        return part(**options)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Recipe part {name!r}: {error}") from error
