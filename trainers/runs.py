"""What a training run leaves for the other binaries."""

import pathlib
import zipfile

import keras
import numpy as np

import clel_tf  # noqa: F401, registers the classes of saved models
from clel_tf.models.joint_energy_model import JointEnergyModel


def load_model(workdir):
    """Loads a run's trained model.

    Args:
        workdir: str or path. The `--workdir` of `clel-train`.

    Returns:
        `CLEL`, not compiled.

    Raises:
        FileNotFoundError: if there is no trained model.
    """
    path = pathlib.Path(workdir) / "model.keras"
    if not path.is_file():
        raise FileNotFoundError(
            f"Expected a finished run of clel-train in {workdir}; there is no "
            f"file {path}."
        )
    return load_model_file(path)


def load_model_file(path):
    """Loads a trained model.

    Args:
        path: str or path. What `model.save` wrote.

    Returns:
        `CLEL`, not compiled.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds another kind of model.
    """
    if not pathlib.Path(path).is_file():
        raise FileNotFoundError(
            f"Expected a .keras file of a model; there is no file {path}."
        )
    model = keras.saving.load_model(path, compile=False)
    if not isinstance(model, JointEnergyModel):
        raise ValueError(
            f"Expected a CLEL model in {path}; received: "
            f"{type(model).__name__}."
        )
    return model


def class_latents(workdir):
    """The classes' latents that a run on labelled images has left.

    Args:
        workdir: str or path.

    Returns:
        float32 array `(classes, d)`, in the order of the labels, or None.

    Raises:
        ValueError: if the file is not what a run leaves.
    """
    found = class_directions(workdir)
    return None if found is None else found[0]


def class_directions(workdir):
    """The classes' latents, and the labels; see `class_latents`.

    Returns:
        Tuple of float32 `(classes, d)` and integer `(classes,)`, or None.
    """
    path = pathlib.Path(workdir) / "class_directions.npz"
    if not path.is_file():
        return None
    try:
        with np.load(path) as stored:
            directions = stored["directions"]
            labels = stored.get("labels", np.arange(len(directions)))
    except (zipfile.BadZipFile, KeyError) as error:
        raise ValueError(
            f"Expected clel-train's class directions in {path}: {error}"
        ) from error
    return directions, labels
