"""SHA-256 of arrays and of weights, by which a manifest names them."""

import hashlib

import numpy as np


def sha256_of_arrays(arrays):
    """Hashes arrays: in their order, the dtype, shape and bytes of each.

    Args:
        arrays: iterable of arrays.

    Returns:
        str of 64 hexadecimal digits.

    Example:

    >>> row, column = np.zeros((1, 2)), np.zeros((2, 1))
    >>> sha256_of_arrays([row]) == sha256_of_arrays([column])
    False
    """
    digest = hashlib.sha256()
    for array in arrays:
        array = np.asarray(array)
        digest.update(f"{array.dtype} {array.shape} ".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def sha256_of_weights(*networks):
    """Hashes the weights of Keras layers or models, as `sha256_of_arrays`."""
    return sha256_of_arrays(
        weight.numpy() for network in networks for weight in network.weights
    )
