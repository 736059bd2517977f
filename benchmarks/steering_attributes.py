"""AND: a class and a property of its strokes, each a direction of latents."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from clel_tf.samplers import energies

LOOPS = (0, 6, 8, 9)
CLASSES = (1, 3, 7)


def measure(model, judge, seed, share):
    train, test = (attributes(x, y) for x, y in _splits(judge))
    latents = model.latents(judge.x_train, views=16)
    seen = model.latents(judge.x_test)
    probes = {
        name: float(
            LogisticRegression(max_iter=2000)
            .fit(latents, train[name])
            .score(seen, test[name])
        )
        for name in train
    }
    means, _ = energies.class_means(model, judge.x_train, judge.y_train)
    each = max(int(60 * share), 4)
    return {
        "probes": probes,
        "and": {
            name: _both_ways(
                model, judge, means, latents, train[name], name, seed, each
            )
            for name in ("thick", "slanted", "loop")
        },
    }


def attributes(images, labels):
    """Which images have a closed loop, and more ink or slant than most do."""
    return {
        "loop": np.isin(labels, LOOPS),
        "thick": ink(images) > 0.317,  # the data's mean
        "slanted": slant(images) > 0.0,
    }


def ink(images):
    """Mean brightness of images."""
    return np.mean(images, axis=(1, 2, 3))


def slant(images):
    """How far strokes lean to the right going up: a shear, by moments."""
    weights = images[..., 0] / np.sum(images, axis=(1, 2, 3))[:, None, None]
    y, x = np.mgrid[: images.shape[1], : images.shape[2]]
    dy = y - np.sum(weights * y, axis=(1, 2))[:, None, None]
    dx = x - np.sum(weights * x, axis=(1, 2))[:, None, None]
    return -np.sum(weights * dx * dy, (1, 2)) / np.sum(weights * dy**2, (1, 2))


def _splits(judge):
    return (
        (judge.x_train, judge.y_train),
        (judge.x_test, judge.y_test),
    )


def _both_ways(model, judge, means, latents, has, name, seed, each):
    """The attribute in samples of classes AND it, and AND its opposite."""
    difference = latents[has].mean(axis=0) - latents[~has].mean(axis=0)
    result = {}
    for way, sign in (("with", 1.0), ("without", -1.0)):
        direction = energies.Conditional(sign * difference)
        if name == "loop":
            # A property of classes: no class with it, of those that remain.
            images = model.sample(4 * each, energy=direction, seed=seed)
            result[way] = float(np.mean(np.isin(judge.labels(images), LOOPS)))
            continue
        wanted = np.repeat(CLASSES, each)
        images = model.sample(
            len(wanted),
            energy=energies.Conditional(means[wanted]) + direction,
            seed=seed,
        )
        measured = {"thick": ink, "slanted": slant}[name](images)
        result[way] = float(np.mean(measured))
        result[f"{way}_accuracy"] = judge.agreement(images, wanted)
    return result
