"""What a training run leaves for the other binaries."""

import pathlib

import keras

import clel_tf  # noqa: F401, registers the classes of saved models


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
    return keras.saving.load_model(path, compile=False)
