import keras
import numpy as np

from clel_tf.samplers.energies.guidance import Guidance


@keras.saving.register_keras_serializable(package="clel_tf")
class Function(Guidance):
    """Guidance of one's own: any differentiable function of images.

        function(x, *tensors)

    in units of energy: `-log` of a factor of the density times the chain's
    temperature `T`. The function is part of the structure, so that a graph is
    compiled for each; what changes from call to call belongs into `tensors`.

    Args:
        function: function of float32 images `(n, h, w, c)` and of `tensors`,
            giving `(n,)`, each from its row alone. A configuration holds it by
            the name it is registered with.
        *tensors: floats, or arrays `(n, ...)`, one a row.

    Example:

    >>> from clel_tf.samplers import energies
    >>> def darkness(images, weight):
    ...     return weight * tf.reduce_mean(images, axis=(1, 2, 3))
    >>> term = energies.Function(darkness, 0.01)
    """

    def __init__(self, function, *tensors, ranks=None):
        if not callable(function):
            raise TypeError(f"Expected a function; received: {function!r}.")
        self.function = function
        if ranks is None:
            ranks = [max(np.ndim(x) - 1, 0) for x in tensors]
        else:
            tensors = (None,) * len(ranks)
        self.ranks = {f"tensor_{i}": rank for i, rank in enumerate(ranks)}
        super().__init__(**dict(zip(self.ranks, tensors)))

    def static(self):
        return self.function, tuple(self.ranks.values())

    def value(self, seen, rows):
        value = self.function(seen.images, *rows[0].values())
        if value.shape.rank != 1:
            raise ValueError(
                "Expected a function that gives energies (n,), one a row; "
                f"received shape: {value.shape}."
            )
        return value

    def get_config(self):
        return {
            **super().get_config(),
            "function": serialize_function(self.function),
            "ranks": list(self.ranks.values()),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        function = keras.saving.deserialize_keras_object(
            config["function"], custom_objects
        )
        term = cls(function, ranks=config["ranks"])
        for name in term.ranks:
            setattr(term, name, term._array(name, config.get(name)))
        return term


def serialize_function(function):
    """What a configuration holds of a function: its registered name.

    Args:
        function: None, a registered function, or an object of a registered
            class.

    Raises:
        ValueError: if it is not registered, and could not be found again.
    """
    owner = function if hasattr(function, "__name__") else type(function)
    name = keras.saving.get_registered_name(owner)
    known = keras.saving.get_registered_object(name)
    if function is not None and known is not owner:
        raise ValueError(
            "Expected a function registered by "
            "`keras.saving.register_keras_serializable`, to be held by a "
            f"configuration; received: {function!r}."
        )
    return keras.saving.serialize_keras_object(function)
