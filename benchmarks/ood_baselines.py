"""Detectors of scikit-learn on pixels, beside which energies are judged."""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors
from sklearn.svm import OneClassSVM

# Every choice that the validation runs decide on, by family.
FAMILIES = {
    "pixel nearest neighbour": {"neighbors": (1, 5, 20)},
    "PCA reconstruction": {"variance": (0.5, 0.7, 0.8, 0.9, 0.95)},
    "one-class SVM": {
        "nu": (0.01, 0.1, 0.5),
        "gamma": (0.3, 1.0, 3.0, 10.0, 30.0),
    },
    "Gaussian mixture": {
        "components": (1, 10, 20, 40),
        "regularization": (1e-3, 3e-3, 1e-2),
    },
}


def fit(family, options, images):
    """Fits a detector.

    Args:
        family: str, of `FAMILIES`.
        options: dict, a choice of each of its settings.
        images: float array `(n, ...)`, the training images.

    Returns:
        Function of images `(m, ...)` giving scores `(m,)`, higher where they
        are less like the training images.
    """
    return _FITS[family](_flat(images), **options)


def _nearest_neighbor(train, neighbors):
    found = NearestNeighbors(n_neighbors=neighbors).fit(train)
    return lambda x: found.kneighbors(_flat(x))[0][:, -1]


def _reconstruction(train, variance):
    found = PCA(variance, svd_solver="full").fit(train)

    def score(images):
        x = _flat(images)
        back = found.inverse_transform(found.transform(x))
        return np.sum((x - back) ** 2, axis=1)

    return score


def _one_class_svm(train, nu, gamma):
    # In units of the usual width, 1 / (d variance).
    width = gamma / (train.shape[1] * train.var())
    found = OneClassSVM(nu=nu, gamma=width).fit(train)
    return lambda x: -found.score_samples(_flat(x))


def _mixture(train, components, regularization):
    found = GaussianMixture(
        components, reg_covar=regularization, random_state=0
    ).fit(train)
    return lambda x: -found.score_samples(_flat(x))


def _flat(images):
    return np.reshape(images, (len(images), -1)).astype(np.float64)


_FITS = {
    "pixel nearest neighbour": _nearest_neighbor,
    "PCA reconstruction": _reconstruction,
    "one-class SVM": _one_class_svm,
    "Gaussian mixture": _mixture,
}
