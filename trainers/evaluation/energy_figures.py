"""Energies and latents of all sets of images, for the report's pictures."""

import numpy as np

from clel_tf.trainers.evaluation import inputs as evaluation_inputs

_MOST = 10_000  # images of a set whose energies are told
_MAPPED = 300  # images of a set on the map of latents


def measure(inputs, parts, samples):
    """Energies and latents; see `sample_figures.measure`.

    Args:
        inputs: `Inputs`.
        parts: `Parts`.
        samples: float32 array `(n, ...)`.
    """
    data, model = inputs.data, inputs.model
    sets = {"train": evaluation_inputs.some(data, _MOST)}
    if data.x_test is not None:
        sets["test"] = data.x_test[:_MOST]
    sets |= {"samples": samples[:_MOST], **inputs.ood}
    _, arrays = parts.get("energies", lambda: ({}, _arrays(model, sets)))
    figures = {}
    for name in sets:
        energies = arrays[f"energies/{name}"]
        low, median, high = np.quantile(energies, (0.05, 0.5, 0.95))
        figures[name] = {
            "n": len(energies),
            "mean": float(energies.mean()),
            "median": float(median),
            "low": float(low),
            "high": float(high),
        }
    return {"energies": figures}, arrays


def _arrays(model, sets):
    found = {}
    for name, images in sets.items():
        found[f"energies/{name}"] = model.predict(images, verbose=0)
        if name != "train" and model.encoder is not None:
            found[f"latents/{name}"] = model.latents(images[:_MAPPED])
    return found
