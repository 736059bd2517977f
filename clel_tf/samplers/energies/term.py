import copy
import math
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from clel_tf import random
from clel_tf.samplers.energies.seen import Seen


class Setting(NamedTuple):
    """Where an energy is to be sampled, for checks before any work.

    Attributes:
        image_shape: tuple of ints.
        latent_dim: int, or None of a model without latents.
        energy_scale: float, the usual marginal energy of data; 0 if unknown.
        temperature: float, `T` of the chain.
        step_size: float, the largest of the chain.
        weight: float, the largest by which sums have multiplied the term.
        measurements: int, the number of `DataFidelity` terms of the energy.
    """

    image_shape: tuple
    latent_dim: int | None
    energy_scale: float
    temperature: float
    step_size: float
    weight: float = 1.0
    measurements: int = 1


class Bound:
    """An energy's function of images, with its tensors and network in place.

    What samplers take: `run(bound, initial, keys, project=bound.project)`.

    Args:
        energy: `Term`, or the structure of one.
        rows: what `Term.rows` gave.
        network: energy network or its `inference_function`, or None.
        temperature: float. `T` of the chain.
        leading: bool. Whether chains are candidates still; see `Seen`.
    """

    def __init__(self, energy, rows, network, temperature, leading=False):
        self._energy = energy
        self._rows = rows
        self._network = network
        self._temperature = temperature
        self._leading = leading
        # None spares the chains of energies without constraints a step.
        self.project = self._project if energy.is_constrained else None

    def __call__(self, images):
        return self._energy.value(self._seen(images), self._rows)

    def guidance(self, images):
        """The energy of the guidance alone, float32 `(n,)`."""
        return self._energy.guidance(self._seen(images), self._rows)

    def _seen(self, images):
        return Seen(images, self._network, self._temperature, self._leading)

    def _project(self, images):
        return self._energy.project(images, self._rows)


class Term:
    """A part of an energy: static structure plus tensors.

    The structure is the class, what `static` gives, and the structure of the
    terms that it is made of; a graph is compiled once for each. Tensors are
    arguments of that graph. Each is either one for all rows or one a row, told
    by its rank: `ranks` names them with the rank of a row's own.

    A subclass sets `ranks`, passes its tensors on to `__init__`, and writes
    `value`, and `check`, `static`, `get_config` where it has what they tell.
    `is_constrained` says whether `project` changes images, and `leads` whether
    the term is stronger while chains are candidates.

    Args:
        terms: sequence of `Term`s that this one is made of.
        **tensors: float32 arrays or tensors by name, or None for a structure
            whose tensors `with_tensors` gives later.
    """

    ranks: dict[str, int] = {}
    is_constrained = False
    leads = False

    def __init__(self, terms=(), **tensors):
        self.terms = tuple(terms)
        self.is_constrained |= any(t.is_constrained for t in self.terms)
        self.leads |= any(t.leads for t in self.terms)
        for name in self.ranks:
            setattr(self, name, self._array(name, tensors[name]))
        self.validate()

    def validate(self):
        """Raises `ValueError` if a tensor's values are out of their range."""

    def value(self, seen, rows):
        """Energies of images.

        Args:
            seen: `Seen`.
            rows: what `rows` gave, of as many rows as there are images.

        Returns:
            float32 tensor of shape `(n,)`.
        """
        raise NotImplementedError

    def guidance(self, seen, rows):
        """The part of `value` that is guidance: all but the prior."""
        return self.value(seen, rows)

    def project(self, images, rows):
        """The nearest images that fulfil the exact constraints, if any."""
        for term, its_rows in zip(self.terms, rows[1]):
            images = term.project(images, its_rows)
        return images

    def check(self, setting):
        """Raises `ValueError` if the term does not fit a `Setting`."""
        for name in self.ranks:
            if getattr(self, name) is None:
                raise ValueError(
                    f"Expected the `{name}` of {type(self).__name__}, which a "
                    "configuration does not hold: see `with_tensors`."
                )
        for i, term in enumerate(self.terms):
            term.check(self.setting_of(i, setting))

    def stiffness(self, setting):
        """The largest `step * curvature` that measurements give the energy."""
        return sum(
            term.stiffness(self.setting_of(i, setting))
            for i, term in enumerate(self.terms)
        )

    @property
    def measurements(self):
        """int. The number of `DataFidelity` terms."""
        return sum(term.measurements for term in self.terms)

    def setting_of(self, i, setting):
        """The `Setting` of one of the terms."""
        return setting

    def static(self):
        """What of the structure is neither class nor terms; hashable."""
        return ()

    @property
    def structure(self):
        """The same term without its tensors; hashable."""
        copied = copy.copy(self)
        copied.terms = tuple(term.structure for term in self.terms)
        for name in self.ranks:
            setattr(copied, name, None)
        return copied

    @property
    def tensors(self):
        """List of all tensors, its own and then its terms'; some are None."""
        own = [getattr(self, name) for name in self.ranks]
        return own + [x for term in self.terms for x in term.tensors]

    def with_tensors(self, tensors):
        """The same structure with other tensors, in the order of `tensors`."""
        if len(tensors) != len(self.tensors):
            raise ValueError(
                f"Expected {len(self.tensors)} tensors; received: "
                f"{len(tensors)}."
            )
        copied, tensors = copy.copy(self), list(tensors)
        for name in self.ranks:
            setattr(copied, name, self._array(name, tensors.pop(0)))
        terms = []
        for term in self.terms:
            count = len(term.tensors)
            terms.append(term.with_tensors(tensors[:count]))
            tensors = tensors[count:]
        copied.terms = tuple(terms)
        copied.validate()
        return copied

    def rows(self, keys, setting=None):
        """The tensors, one a row.

        Args:
            keys: uint64 tensor `(n,)`, a key a row, for what is drawn by row.
            setting: `Setting`, of which terms take the energy's scale and the
                step size; None where neither is asked for.

        Returns:
            Tuple of a dict of arrays `(n, ...)` by name, and the terms' rows.
        """
        count = keys.shape[0] or tf.shape(keys)[0]
        own = {
            name: self._of_rows(name, rank, count)
            for name, rank in self.ranks.items()
        }
        return own, tuple(
            term.rows(
                random.fold_in(keys, i), setting and self.setting_of(i, setting)
            )
            for i, term in enumerate(self.terms)
        )

    def bind(self, network, keys, temperature=1.0, setting=None):
        """The energy as a function of images, for samplers.

        Args:
            network: energy network or its `inference_function`, or None.
            keys: uint64 tensor `(n,)`, a key a row.
            temperature: float. `T` of the chain, where there is no `setting`.
            setting: `Setting` or None; see `rows`.

        Returns:
            `Bound`: a function of images `(n, ...)` giving `(n,)`; its
            attribute `project` is None or the constraints' projection.
        """
        if setting is not None:
            temperature = setting.temperature
        return Bound(self, self.rows(keys, setting), network, temperature)

    def get_config(self):
        """Structure and scalars; latents and images are no configuration."""
        scalars = {
            name: float(getattr(self, name))
            for name in self.ranks
            if np.ndim(getattr(self, name)) == 0
            and getattr(self, name) is not None
        }
        if self.terms:
            terms = map(keras.saving.serialize_keras_object, self.terms)
            return {"terms": list(terms), **scalars}
        return scalars

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """The structure, whose tensors `with_tensors` then gives."""
        if "terms" in config:
            terms = [
                keras.saving.deserialize_keras_object(x, custom_objects)
                for x in config["terms"]
            ]
            config = {**config, "terms": terms}
        energy = cls(**config)
        for name in energy.ranks:
            if name not in config:  # not its default, but what it was
                setattr(energy, name, None)
        return energy

    def __eq__(self, other):
        if type(self) is not type(other) or self.static() != other.static():
            return NotImplemented
        return self.terms == other.terms and all(
            np.array_equal(getattr(self, name), getattr(other, name))
            for name in self.ranks
        )

    def __hash__(self):
        return hash((type(self), self.static(), self.terms))

    def _array(self, name, value):
        if value is None:
            return None
        if tf.is_tensor(value) and not hasattr(value, "numpy"):
            value = tf.cast(value, tf.float32)  # of a graph
        else:
            value = np.asarray(value, "float32")
            if not np.all(np.isfinite(value)):
                raise ValueError(
                    f"Expected `{name}` finite; received NaN or infinity."
                )
        rank = self.ranks[name]
        if value.ndim not in (rank, rank + 1):
            raise ValueError(
                f"Expected `{name}` of rank {rank}, or {rank + 1} with one a "
                f"row; received shape: {tuple(value.shape)}."
            )
        return value

    def _of_rows(self, name, rank, count):
        value = getattr(self, name)
        if value.ndim == rank:
            broadcast = tf if tf.is_tensor(value) else np
            if not isinstance(count, int):
                broadcast = tf
            return broadcast.broadcast_to(value, [count, *value.shape])
        if isinstance(count, int) and value.shape[0] not in (None, count):
            raise ValueError(
                f"Expected `{name}` of {count} rows; received: "
                f"{value.shape[0]}."
            )
        return value


def check_at_least(name, value, lowest, exclusive=False):
    """Raises unless all of an array (not of a symbolic tensor) is so large."""
    if value is None or tf.is_tensor(value):
        return
    smallest = float(np.min(value, initial=math.inf))
    if smallest < lowest or (exclusive and smallest == lowest):
        relation = "above" if exclusive else "of at least"
        raise ValueError(
            f"Expected `{name}` {relation} {lowest}; received: {smallest}."
        )
