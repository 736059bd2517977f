"""How well a model's latents tell the classes that it was never told."""

import numpy as np

from clel_tf import metrics
from clel_tf.trainers.evaluation.shares import share_interval

_NEIGHBORS = (1, 5, 20, 200)


def measure(inputs, parts):
    """Accuracies on the test split; see `sample_figures.measure`."""
    data = inputs.data
    if data.y_train is None or data.y_test is None:
        return {}, {}
    if inputs.model.encoder is None:
        return {}, {}
    if len(np.unique(data.y_train)) < 2:
        return {}, {}  # there is nothing to tell apart
    networks = {
        "encoder": inputs.model.latents,
        "energy_network": inputs.model.energy_latents,
    }
    found, arrays = {}, {}
    for name, latents in networks.items():

        def compute(latents=latents):
            return {}, {
                split: latents(inputs.split(split)[:])
                for split in ("train", "test")
            }

        _, one = parts.get(f"{name}/latents", compute)
        if name == "encoder":
            arrays["latents/test"] = one["test"]
            arrays["labels/test"] = data.y_test
        figures, _ = parts.get(
            f"{name}/accuracies",
            lambda one=one: (_accuracies(one, data), {}),
        )
        found[name] = figures
    counts = {"train": len(data.x_train), "test": len(data.x_test)}
    return {"representation": {**found, **counts}}, arrays


def _accuracies(latents, data):
    sets = latents["train"], data.y_train, latents["test"], data.y_test
    smallest = np.unique(data.y_train, return_counts=True)[1].min()
    count = len(data.y_test)
    return {
        "knn": {
            str(k): share_interval(metrics.knn_accuracy(*sets, k=k), count)
            for k in _NEIGHBORS
            if k <= smallest  # more would have to be of other classes
        },
        "linear_probe": share_interval(
            metrics.linear_probe_accuracy(*sets), count
        ),
    }
