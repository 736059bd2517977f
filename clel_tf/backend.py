"""What Keras has to run on.

Networks, layers, losses, optimizers and metrics are written in `keras.ops`, for
any backend. Chains, their buffer, `CLEL` and what is made of it are
TensorFlow's: they rest on its graphs, its strategies and its 64-bit integers,
which JAX does not have by default.
"""

import keras


def require_tensorflow(what):
    """Raises `RuntimeError` unless Keras runs on TensorFlow.

    Args:
        what: str. The class or function that needs it.

    Example:

    >>> from clel_tf.backend import require_tensorflow
    >>> require_tensorflow("CLEL")
    """
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise RuntimeError(
            f"{what} needs the TensorFlow backend; Keras runs on {backend}. "
            "Set KERAS_BACKEND=tensorflow before importing keras."
        )
