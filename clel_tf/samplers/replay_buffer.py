from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from clel_tf import random
from clel_tf import workers
from clel_tf.backend import require_tensorflow


class Chains(NamedTuple):
    """Chains drawn from a replay buffer.

    Attributes:
        images: float32 tensor of shape `(n, height, width, channels)`.
        ages: int32 tensor of shape `(n,)`, steps made since birth.
        indices: int32 tensor of shape `(n,)`, their places in the buffer.
        travel: float32 tensor of shape `(n,)`, root mean square change of a
            pixel since they were drawn; None of chains that did not move.
    """

    images: tf.Tensor
    ages: tf.Tensor
    indices: tf.Tensor
    travel: tf.Tensor | None = None


@keras.saving.register_keras_serializable(package="clel_tf")
class ReplayBuffer(keras.layers.Layer):
    """Persistent chains on the device, begun and begun again from noise.

    `draw` takes chains without replacement and restarts some of them from
    uniform noise; `write` puts them back after the sampler has moved them. A
    chain of a buffer of `N`, drawn `n` at a time and restarted with probability
    `p`, lives `N / (n p)` training steps on average. A life much longer than
    the time in which the energy changes leaves the energy untested on young
    chains, and sampling from noise then fails; `max_age` bounds it.

    Images are kept as bytes, `k = floor(256 x)`, and read back as
    `(k + U) / 256` with uniform `U`, so that a chain's pixels do not drift
    however often it comes and goes.

    Under `tf.distribute` every replica holds a shard of `capacity / replicas`
    chains of its own. Saving, `images` and `ages` gather all of them: where
    there are several workers, all have to take part.

    Args:
        capacity: int. Number of chains, over all replicas.
        reinitialize_probability: float in [0, 1]. Probability that a drawn
            chain restarts from noise.
        max_age: int or None. Chains of this many steps restart when drawn.
        storage: str. "uint8" or "float32".
        seed: int. Seed of the initial noise.

    Example:

    >>> buffer = clel_tf.samplers.ReplayBuffer(capacity=64)
    >>> buffer.build((None, 8, 8, 1))
    >>> chains = buffer.draw(clel_tf.random.as_key(0), 16)
    >>> chains.images.shape
    TensorShape([16, 8, 8, 1])
    >>> buffer.write(chains._replace(ages=chains.ages + 60))

    Reference:
        [Tieleman: Training Restricted Boltzmann Machines using Approximations
        to the Likelihood Gradient, ICML 2008]
        (https://doi.org/10.1145/1390156.1390290);
        [Du, Mordatch: Implicit Generation and Modeling with Energy-Based
        Models, NeurIPS 2019](https://arxiv.org/abs/1903.08689)
    """

    def __init__(
        self,
        capacity=10_000,
        reinitialize_probability=0.001,
        max_age=None,
        storage="uint8",
        seed=0,
        **kwargs,
    ):
        require_tensorflow("ReplayBuffer")
        kwargs.setdefault("dtype", "float32")  # under any global policy
        super().__init__(**kwargs)
        if not isinstance(capacity, int) or capacity < 1:
            raise ValueError(
                f"Expected `capacity` to be a positive int; received: "
                f"{capacity!r}."
            )
        if not 0 <= reinitialize_probability <= 1:
            raise ValueError(
                "Expected `reinitialize_probability` to be in [0, 1]; "
                f"received: {reinitialize_probability!r}."
            )
        if max_age is not None and (
            not isinstance(max_age, int) or max_age < 1
        ):
            raise ValueError(
                f"Expected `max_age` to be a positive int or None; received: "
                f"{max_age!r}."
            )
        if storage not in ("uint8", "float32"):
            raise ValueError(
                'Expected `storage` to be "uint8" or "float32"; received: '
                f"{storage!r}."
            )
        self.capacity = capacity
        self.reinitialize_probability = reinitialize_probability
        self.max_age = max_age
        self.storage = storage
        self.seed = seed

    def build(self, input_shape):
        self._strategy = tf.distribute.get_strategy()
        self._local_replicas = workers.local_replicas(self._strategy)
        replicas = self._strategy.num_replicas_in_sync
        if self.capacity % replicas:
            raise ValueError(
                f"Expected `capacity` to be a multiple of the {replicas} "
                f"replicas; received: {self.capacity}."
            )
        self.shard_capacity = self.capacity // replicas
        shape = tuple(input_shape[1:])
        dtype = self.storage
        if dtype == "uint8" and workers.are_several(self._strategy):
            dtype = "float16"  # which holds bytes; collectives know none
        self._images = self._variable(
            "images", (self.shard_capacity, *shape), dtype
        )
        self._ages = self._variable("ages", (self.shard_capacity,), "int32")
        self._gather = workers.gatherer(
            self._strategy,
            lambda: [tf.convert_to_tensor(x.value) for x in self._stored()],
        )
        keys = random.fold_in(random.as_key(self.seed), tf.range(self.capacity))
        # Staggered ages, lest chains of bounded age all restart in one step.
        ages = random.uniform(keys, (), 0.0, self.max_age or 0)
        # In pieces: random bits take 16 times the memory of their bytes.
        pieces = tf.split(keys, _piece_sizes(self.capacity))
        images = [
            self._encode(random.uniform(piece, shape)).numpy()
            for piece in pieces
        ]
        self.load_own_variables(
            {
                "images": np.concatenate(images),
                "ages": tf.cast(ages, tf.int32),
            }
        )

    def draw(self, key, batch_size, restart=True):
        """Draws chains without replacement, some of them restarted from noise.

        Args:
            key: uint64 scalar key of `clel_tf.random`.
            batch_size: int or int32 scalar tensor, at most the shard's size.
            restart: bool. False leaves every chain as it is stored.

        Returns:
            `Chains`. A restarted chain has age 0.
        """
        self.check_batch(batch_size)
        order = random.uniform(random.fold_in(key, 0), (self.shard_capacity,))
        indices = tf.math.top_k(order, batch_size).indices
        stored = tf.gather(self._images.value, indices)
        ages = tf.gather(self._ages.value, indices)

        keys = random.fold_in(random.fold_in(key, 1), tf.range(batch_size))
        noise = random.uniform(random.fold_in(keys, 0), tuple(stored.shape[1:]))
        reborn = tf.zeros_like(ages, tf.bool)
        if restart:
            reborn = random.uniform(keys) < self.reinitialize_probability
            if self.max_age is not None:
                reborn |= ages >= self.max_age
        # One draw serves both: a chain is either reborn or read back.
        images = tf.where(
            _rows(reborn, stored), noise, self._decode(stored, noise)
        )
        return Chains(images, tf.where(reborn, 0, ages), indices)

    def write(self, chains, where=True):
        """Puts chains back in their places.

        Args:
            chains: `Chains`; their indices must be distinct, as drawn ones are.
            where: bool or bool tensor broadcasting to the chains. Chains where
                it is false are not written.
        """
        images = self._encode(chains.images)
        for variable, new in (
            (self._images, images),
            (self._ages, chains.ages),
        ):
            shard = tf.convert_to_tensor(variable.value)
            old = tf.gather(shard, chains.indices)
            new = tf.where(_rows(where, old), new, old)
            # `scatter_nd_update` is not implemented for variables that differ
            # between replicas; assigning the scattered tensor is.
            variable.assign(
                tf.tensor_scatter_nd_update(
                    shard, chains.indices[:, tf.newaxis], new
                )
            )

    @property
    def images(self):
        """All chains of all replicas, float32 `(capacity, ...)` NumPy array."""
        return self._midpoints(self._all_replicas()[0])

    def first(self, n):
        """The first `n` chains, float32 `(n, ...)` NumPy array.

        Of this worker's, which are fewer where its replicas hold no more.
        """
        return self._midpoints(np.concatenate(_shards(self._images))[:n])

    @property
    def ages(self):
        """Age of every chain in steps, int32 `(capacity,)` NumPy array."""
        return self._all_replicas()[1]

    def save_own_variables(self, store):
        images, store["ages"] = self._all_replicas()
        store["images"] = images.astype(self.storage)

    def load_own_variables(self, store):
        for name, variable in zip(("images", "ages"), self._stored()):
            saved = np.asarray(store[name])
            expected = (self.capacity, *variable.shape[1:])
            if saved.shape != expected:
                raise ValueError(
                    f"Expected saved buffer `{name}` of shape {expected}; "
                    f"received: {saved.shape}."
                )
            rows = saved.reshape(-1, *variable.shape)
            for replica, shard in zip(
                self._local_replicas, _local_values(variable)
            ):
                shard.assign(rows[replica].astype(variable.dtype))

    def get_config(self):
        return {
            **super().get_config(),
            "capacity": self.capacity,
            "reinitialize_probability": self.reinitialize_probability,
            "max_age": self.max_age,
            "storage": self.storage,
            "seed": self.seed,
        }

    def _variable(self, name, shape, dtype):
        # Each replica reads and writes its own copy. Any other aggregation
        # averages the copies, overwrites them, or refuses to be saved.
        return keras.Variable(
            initializer="zeros",
            shape=shape,
            dtype=dtype,
            trainable=False,
            autocast=False,
            synchronization="on_read",
            aggregation="only_first_replica",
            name=name,
        )

    def _stored(self):
        return self._images, self._ages

    def _all_replicas(self):
        """Images, as they are stored, and ages of all replicas and workers."""
        if workers.are_several(self._strategy):
            return [np.concatenate(shards) for shards in self._gather()]
        return [
            np.concatenate(_shards(variable)) for variable in self._stored()
        ]

    def _midpoints(self, stored):
        if self.storage == "float32":
            return stored
        return (stored.astype("float32") + 0.5) / 256.0

    def _encode(self, images):
        if self.storage == "float32":
            return images
        # Bounded before the cast: 1.0 would be byte 256, which wraps around.
        stored = tf.cast(tf.clip_by_value(images * 256.0, 0.0, 255.0), tf.uint8)
        return tf.cast(stored, self._images.dtype)

    def _decode(self, stored, uniform):
        if self.storage == "float32":
            return stored
        # 16 bits of U, so that k + U is exact: rounding to k + 1 would drift.
        uniform = tf.floor(uniform * 2.0**16) * 2.0**-16
        return (tf.cast(stored, tf.float32) + uniform) / 256.0

    def check_batch(self, batch_size):
        """Raises if a replica cannot draw so many chains, where it is known.

        Args:
            batch_size: int or int32 scalar tensor.
        """
        size = tf.get_static_value(batch_size)
        if size is not None and size > self.shard_capacity:
            raise ValueError(
                f"Expected a batch of at most {self.shard_capacity} chains a "
                f"replica, the buffer's capacity; received: {size}."
            )


def _piece_sizes(count, largest=1000):
    """Sizes of the pieces of `count` rows, none of them above `largest`."""
    return [min(largest, count - start) for start in range(0, count, largest)]


def _shards(variable):
    return [shard.numpy() for shard in _local_values(variable)]


def _local_values(variable):
    value = variable.value
    return getattr(value, "values", [value])


def _rows(mask, images):
    """Gives a mask of rows, or a scalar one, the rank of `images`."""
    mask = tf.convert_to_tensor(mask)
    return tf.reshape(
        mask, tf.concat([tf.shape(mask), [1] * 9], 0)[: images.shape.rank]
    )
