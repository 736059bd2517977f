"""The classes' latents that a run on labelled images leaves."""

import numpy as np

from clel_tf import files
from clel_tf.samplers import energies

_IMAGES = 20_000  # over all classes: enough for means
_VIEWS = 8  # augmented ones, as training's latents are of


def save_class_directions(model, data, path):
    """Saves the unit mean latent of each class, for conditional sampling.

    Args:
        model: trained `CLEL`.
        data: `clel_tf.data.ImageData` with labels.
        path: `pathlib.Path` of the `.npz`, "directions" and "labels".
    """
    labels = np.unique(data.y_train)
    most = max(_IMAGES // len(labels), 1)
    chosen = []
    for label in labels:
        rows = np.flatnonzero(data.y_train == label)
        count = min(most, len(rows))
        chosen.append(rows[np.arange(count) * len(rows) // count])
    rows = np.sort(np.concatenate(chosen))
    directions, labels = energies.class_means(
        model, data.x_train[rows], data.y_train[rows], views=_VIEWS
    )
    with files.new_file(path) as aside:
        np.savez(aside, directions=directions, labels=labels)
