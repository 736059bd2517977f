"""Restored digits beside what needs no network: inpainting, denoising, ..."""

import linear_posteriors
import numpy as np

from clel_tf import random
from clel_tf.samplers import energies

IMAGES = 120
CHAINS = 16
NOISE = 0.3
BLUR_NOISE = 0.05
FACTOR = 2
_EXACT = 1e-2  # stands for no noise where pixels are given exactly


def measure(model, judge, seed, share):
    count = max(int(IMAGES * share), 8)
    truth, labels = judge.x_test[:count], judge.y_test[:count]
    return {
        "inpaint_right": _inpaint(model, judge, truth, labels, seed, np.s_[4:]),
        "inpaint_left": _inpaint(model, judge, truth, labels, seed, np.s_[:4]),
        "denoise": _denoise(model, judge, truth, labels, seed),
        "super_resolution": _refine(model, judge, truth, labels, seed),
    }


def psnr(images, truth, where=None):
    """Peak signal-to-noise ratio in dB, of the pixels where a mask is true."""
    errors = np.square(np.reshape(images, truth.shape) - truth)
    where = np.broadcast_to(True if where is None else where, errors.shape)
    return float(-10.0 * np.log10(np.mean(errors[where])))


def _inpaint(model, judge, truth, labels, seed, columns):
    mask = np.zeros(truth.shape[1:], bool)
    mask[:, columns] = True
    known = np.flatnonzero(~mask.ravel())
    matrix = np.eye(truth[0].size)[known]
    observed = _flat(truth) @ matrix.T

    def guidance(repeats):
        images = np.repeat(truth, repeats, axis=0)
        return energies.Inpaint(np.where(mask, 0.5, images), mask)

    def completed(hidden):
        return np.where(mask, np.reshape(hidden, truth.shape), truth)

    means, _ = energies.class_means(model, judge.x_train, judge.y_train)
    digit = energies.SoftEither([energies.Conditional(z, 0.05) for z in means])
    ours = _ours(model, judge, truth, labels, seed, guidance, mask)
    ours["with_classes"] = _ours(
        model,
        judge,
        truth,
        labels,
        seed,
        lambda repeats: guidance(repeats) + digit,
        mask,
    )
    ours["lowest_energy_accuracy"] = _lowest(model, judge, truth, labels, mask)
    train = _flat(judge.x_train)
    nearest = linear_posteriors.nearest(train, matrix, observed)
    filled = np.broadcast_to(train.mean(axis=0), (len(truth), train.shape[1]))
    others = {
        "nearest": completed(train[nearest]),
        "mean_fill": completed(filled),
        "mixture": completed(_mixture(train, matrix, observed, _EXACT)),
    }
    return ours | _judged(judge, others, truth, labels, mask)


def _lowest(model, judge, truth, labels, mask):
    """Accuracy of the hidden half of lowest energy, out of 300 real ones.

    What the energy cannot tell from right, no chain under it can.
    """
    halves = judge.x_train[:: len(judge.x_train) // 300]
    best = []
    for image in truth:
        completions = np.where(mask, halves, image)
        energies_of = model.predict(completions, verbose=0, batch_size=512)
        best.append(completions[np.argmin(energies_of)])
    return judge.agreement(np.stack(best), labels)


def _denoise(model, judge, truth, labels, seed):
    keys = random.as_key(random.row_seeds(1000 + seed, len(truth)))
    noise = random.normal(keys, truth.shape[1:]).numpy()
    noisy = truth + NOISE * noise

    def guidance(repeats):
        return energies.DataFidelity(
            np.repeat(noisy, repeats, axis=0), None, NOISE
        )

    ours = _ours(model, judge, truth, labels, seed, guidance)
    train, matrix = _flat(judge.x_train), np.eye(truth[0].size)
    others = _linear(train, matrix, _flat(noisy), NOISE)
    others["as_it_is"] = noisy
    return ours | _judged(judge, others, truth, labels)


def _refine(model, judge, truth, labels, seed):
    pool = energies.AveragePool(FACTOR)
    keys = random.as_key(random.row_seeds(2000 + seed, len(truth)))
    small = pool(truth).numpy()
    small += BLUR_NOISE * random.normal(keys, small.shape[1:]).numpy()

    def guidance(repeats):
        return energies.DataFidelity(
            np.repeat(small, repeats, axis=0), pool, BLUR_NOISE
        )

    ours = _ours(model, judge, truth, labels, seed, guidance)
    size = truth[0].size
    columns = pool(np.eye(size, dtype="float32").reshape(size, 8, 8, 1))
    matrix = _flat(columns.numpy()).T
    others = _linear(_flat(judge.x_train), matrix, _flat(small), BLUR_NOISE)
    square = np.ones((1, FACTOR, FACTOR, 1))
    others["enlarged"] = np.kron(small, square)
    return ours | _judged(judge, others, truth, labels)


def _ours(model, judge, truth, labels, seed, guidance, mask=None):
    """Single samples' labels, and PSNR of the mean of several chains."""
    chains = model.sample(
        CHAINS * len(truth), energy=guidance(CHAINS), seed=seed
    )
    chains = chains.reshape(len(truth), CHAINS, *truth.shape[1:])
    judged = [judge.agreement(chains[:, i], labels) for i in range(CHAINS)]
    return {
        "samples_accuracy": float(np.mean(judged)),
        "sample_psnr": psnr(chains[:, 0], truth, mask),
        "mean_psnr": psnr(chains.mean(axis=1), truth, mask),
        "mean_accuracy": judge.agreement(chains.mean(axis=1), labels),
    }


def _linear(train, matrix, observed, sigma):
    gaussian = linear_posteriors.fit(train, components=1)
    return {
        "wiener": linear_posteriors.posterior_mean(
            gaussian, matrix, observed, sigma
        ),
        "mixture": _mixture(train, matrix, observed, sigma),
    }


def _mixture(train, matrix, observed, sigma):
    mixture = linear_posteriors.fit(train)
    return linear_posteriors.posterior_mean(mixture, matrix, observed, sigma)


def _judged(judge, others, truth, labels, mask=None):
    return {
        name: {
            "accuracy": judge.agreement(images, labels),
            "psnr": psnr(images, truth, mask),
        }
        for name, images in others.items()
    }


def _flat(images):
    return np.reshape(images, (len(images), -1))
