"""Classes and instances: as asked, and as varied as real ones?"""

import numpy as np

from clel_tf.samplers import energies

LABELS = (1, 5, 20, None)  # images a class whose labels are known; None: all
FEW_RATIOS = (0.1, 0.2)
RATIOS = (0.03, 0.1, 0.2, 0.4, 1.0, 4.0)
ALONE = (0.2, 2.0, 16.0)  # ratios of chains without candidates
CLASSES = np.arange(10)


def measure(model, judge, seed, share):
    each = max(int(72 * share), 4)  # about twice a class's test images
    means, _ = class_means(model, judge, None, seed)
    figures = {
        "ceiling": _ceiling(model, judge),
        "few_labels": [
            {
                "labels": count,
                "ratio": ratio,
                **_conditional(model, judge, count, seed, each, ratio),
            }
            for ratio in FEW_RATIOS
            for count in LABELS
        ],
        "ratios": [
            {"ratio": ratio, **_classes(model, judge, means, each, seed, ratio)}
            for ratio in RATIOS
        ],
        # As guidance alone does it.
        "one_candidate": [
            {
                "ratio": ratio,
                **_classes(model, judge, means, each, seed, ratio, 1),
            }
            for ratio in ALONE
        ],
        "instances": _instances(model, judge, seed, each),
    }
    return figures | _compositions(model, judge, means, seed, 6 * each)


def class_means(model, judge, count, seed):
    """Directions from `count` images of each class, drawn by the seed."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(judge.y_train))
    rows = [order[judge.y_train[order] == c][:count] for c in CLASSES]
    rows = np.concatenate(rows)
    return energies.class_means(
        model, judge.x_train[rows], judge.y_train[rows], seed=seed
    )


def _ceiling(model, judge):
    """Accuracy of the nearest class mean on the test split, of both kinds."""
    train = judge.x_train, judge.y_train
    seen = {
        "encoder": model.latents(judge.x_test),
        "energy_network": model.energy_latents(judge.x_test),
    }
    return {
        of: energies.nearest_class_mean_accuracy(
            latents, judge.y_test, *energies.class_means(model, *train, of=of)
        )
        for of, latents in seen.items()
    }


def _conditional(model, judge, count, seed, each, ratio):
    means, _ = class_means(model, judge, count, seed)
    return _classes(model, judge, means, each, seed, ratio)


def _classes(model, judge, means, each, seed, ratio=None, candidates=None):
    """Accuracy and coverage of samples of all classes."""
    images = model.sample(
        len(means) * each,
        energy=energies.Conditional(np.repeat(means, each, axis=0), ratio),
        seed=seed,
        candidates=candidates,
    )
    labels = np.repeat(CLASSES, each)
    pairs = [judge.coverage(images[labels == c], c) for c in CLASSES]
    covered, real = np.mean(pairs, axis=0)
    return {
        "accuracy": judge.agreement(images, labels),
        "coverage": float(covered),
        "coverage_of_real": float(real),
    }


def _instances(model, judge, seed, each):
    """Samples like each of some test images: their class, their source."""
    sources = np.arange(len(judge.x_test))[: 5 * each]
    images = model.sample(
        len(sources),
        energy=energies.like(model, judge.x_test[sources]),
        seed=seed,
    )
    nearest = model.latents(images) @ model.latents(judge.x_test).T
    ranks = np.sum(nearest > nearest[sources, sources, np.newaxis], axis=1)
    return {
        "same_class": judge.agreement(images, judge.y_test[sources]),
        "source_is_nearest": float(np.mean(ranks == 0)),
        "source_among_ten": float(np.mean(ranks < 10)),
    }


def _compositions(model, judge, means, seed, count):
    three, five, eight = (energies.Conditional(means[c]) for c in (3, 5, 8))

    def shares(energy):
        images = model.sample(count, energy=energy, seed=seed)
        counts = np.bincount(judge.labels(images), minlength=10)
        return (counts / count).tolist()

    return {
        "unguided": shares(energies.Marginal()),
        "three_or_five": shares(three | five),
        "three_or_five_soft": shares(energies.SoftEither([three, five])),
        "not_eight": shares(~eight),
        "neither_three_nor_five": shares(~(three | five)),
    }
