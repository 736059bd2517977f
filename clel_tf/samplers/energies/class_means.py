"""Latents of images and of classes, to be conditioned on."""

import numpy as np

from clel_tf.samplers.energies.conditional import Conditional


def like(model, images, ratio=None, beta=None, views=0):
    """Guidance towards images: instance-conditional sampling.

    Args:
        model: `CLEL`.
        images: uint8 or float array `(h, w, c)`, or `(n, h, w, c)` for one a
            row.
        ratio: see `Conditional`.
        beta: see `Conditional`.
        views: int. Augmented views over which a latent is averaged; 0 for the
            image's own.

    Returns:
        `Conditional`.

    Example:

    >>> from clel_tf.samplers import energies
    >>> model = clel_tf.models.CLEL.from_preset("digits")
    >>> three = clel_tf.data.load("digits").x_test[0]
    >>> energies.like(model, three).latents.shape
    (64,)
    """
    images = np.asarray(images)
    rows = images[np.newaxis] if images.ndim == 3 else images
    latents = model.latents(rows, views=views)
    if images.ndim == 3:
        latents = latents[0]
    return Conditional(latents, ratio, beta)


def class_means(model, images, labels, of="encoder", views=16, seed=0):
    """A direction for each class, which guidance can take for its latent.

    The encoder's latents, averaged over augmented views and normalised, are
    averaged over the class and normalised again. No classifier has a part in
    it: labels enter as means only.

    Args:
        model: `CLEL`.
        images: uint8 or float array `(n, h, w, c)`.
        labels: integer array `(n,)`.
        of: "encoder", or "energy_network" for prototypes of `g(f(x))`, which
            are of the images as they are.
        views: int. Augmented views of an image; 0 for the image itself.
        seed: int. Seed of the views.

    Returns:
        Tuple of float32 `(classes, d)` and the classes' labels, sorted.

    Raises:
        ValueError: if labels do not fit.

    Example:

    >>> from clel_tf.samplers import energies
    >>> model = clel_tf.models.CLEL.from_preset("digits")
    >>> data = clel_tf.data.load("digits")
    >>> means, labels = energies.class_means(
    ...     model, data.x_train[:200], data.y_train[:200], views=1)
    >>> means.shape
    (10, 64)
    """
    labels = np.asarray(labels)
    if labels.shape != (len(images),) or not len(labels):
        raise ValueError(
            f"Expected a label for each of {len(images)} images; received: "
            f"shape {labels.shape}."
        )
    if of == "encoder":
        latents = model.latents(images, views=views, seed=seed)
    elif of == "energy_network":
        latents = model.energy_latents(images)
    else:
        raise ValueError(
            f'Expected `of` "encoder" or "energy_network"; received: {of!r}.'
        )
    classes = np.unique(labels)
    means = np.stack([latents[labels == c].mean(axis=0) for c in classes])
    return means / np.linalg.norm(means, axis=-1, keepdims=True), classes


def nearest_class_mean_accuracy(latents, labels, means, classes):
    """Share of latents whose nearest class mean is that of their label.

    The ceiling of guidance by these means: what they cannot tell apart in data
    they cannot in samples.

    Args:
        latents: float array `(n, d)` of unit vectors.
        labels: integer array `(n,)`.
        means: float array `(classes, d)` of unit vectors.
        classes: integer array `(classes,)`, their labels.

    Returns:
        float.

    Example:

    >>> from clel_tf.samplers import energies
    >>> energies.nearest_class_mean_accuracy(
    ...     np.eye(2), [5, 7], np.eye(2), np.array([5, 7]))
    1.0
    """
    labels = np.asarray(labels)
    if labels.shape != (len(latents),):
        raise ValueError(
            f"Expected a label for each of {len(latents)} latents; received: "
            f"shape {labels.shape}."
        )
    nearest = np.asarray(classes)[np.argmax(latents @ np.transpose(means), -1)]
    return float(np.mean(nearest == labels))
