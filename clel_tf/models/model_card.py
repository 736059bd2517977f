"""What a preset's directory tells of its model, in words and in a picture."""

import json

import keras
import tensorflow as tf

from clel_tf import images
from clel_tf.version import __version__

CARD = "card.json"
PICTURE = "samples.png"


def describe(model, about=None):
    """A model's card: what it is, how it was trained, how it is sampled.

    Args:
        model: `CLEL`.
        about: dict of what the model can't know, or None.

    Returns:
        dict that JSON can hold.

    Raises:
        ValueError: if JSON can't hold `about`.
    """
    about = dict(about or {})
    try:
        json.dumps(about, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Expected `about` to hold what JSON can; received: {about!r} "
            f"({error})."
        ) from error
    teacher = model.teacher
    networks = {
        "energy_network": model.ema_energy_network,
        "encoder": model.ema_encoder,
    }
    return {
        "name": model.name,
        "class": type(model).__name__,
        "about": about,
        "image_shape": [*model.image_shape],
        "levels": model.levels,
        "parameters": {
            name: network.count_params()
            for name, network in networks.items()
            if network is not None
        },
        "teacher": None if teacher is None else _named(teacher),
        "training": {
            "steps": int(model.step.numpy()),
            "seed": model.seed,
            "recipe": json.loads(json.dumps(model.recipe)),
        },
        "sampling": _named(model.sampler),
        "energy_scale": model.known_energy_scale(),
        "ood": {
            "score": type(model.ood_score).__name__,
            "threshold": model.ood_threshold,
        },
        "versions": {
            "clel_tf": __version__,
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
        },
    }


def write(model, directory, about, samples):
    """Writes the card, and a picture of fresh samples where any are wanted."""
    card = describe(model, about)
    if samples:
        card["picture"] = PICTURE
        images.save_grid(model.sample(samples), directory / PICTURE)
    (directory / CARD).write_text(json.dumps(card, indent=2) + "\n")


def _named(part):
    config = keras.saving.serialize_keras_object(part)
    return {"class": config["class_name"], **config["config"]}
