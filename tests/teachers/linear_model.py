"""A model of linear networks, whose step takes no graph to be quick."""

import keras
import numpy as np

from clel_tf import random
from clel_tf.models import CLEL
from clel_tf.samplers import SGLD
from clel_tf.samplers import ReplayBuffer

SHAPE = (4, 4, 1)
LATENT = 3


@keras.saving.register_keras_serializable(package="clel_tf_tests")
class Dimmed(keras.layers.Layer):
    """A view that depends on its key alone."""

    def call(self, images, seed):
        return images * random.uniform(seed, (), 0.2, 1.0)


def network(widths, seed):
    inputs = keras.Input(SHAPE)
    flat = keras.layers.Flatten()(inputs)
    outputs = []
    for i, width in enumerate(widths):
        kernel = keras.initializers.RandomNormal(0.0, 0.3, seed + i)
        dense = keras.layers.Dense(width, kernel_initializer=kernel)
        outputs.append(dense(flat))
    return keras.Model(inputs, outputs if len(outputs) > 1 else outputs[0])


def encoder(seed=5):
    return network([LATENT], seed)


def build(teacher, with_encoder=True, **options):
    model = CLEL(
        network([6, LATENT], 1),
        encoder() if with_encoder else None,
        teacher,
        sampler=SGLD(num_steps=1, step_size=1.0, noise_scale=0.01),
        replay_buffer=ReplayBuffer(capacity=8, seed=0),
        augmentation=Dimmed(),
        chain_augmentation_probability=0.0,
        ema_decay=0.5,
        **{"beta": 0.1, **options},
    )
    sgd = [keras.optimizers.SGD(0.01, 0.9) for _ in range(2)]
    model.compile(*sgd, run_eagerly=True)
    return model


def images(count=8, seed=0):
    return np.random.default_rng(seed).random((count, *SHAPE), "float32")


LABELS = np.array([0, 1, 0, 2, 1, 1, 0, 2])


def fit(model, x, y=LABELS):
    data = (x, y) if y is not None else (x,)
    return model.fit(*data, batch_size=len(x), shuffle=False, verbose=0).history


def values(variables):
    return [keras.ops.convert_to_numpy(v).copy() for v in variables]


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def embeddings(encoder, x):
    kernel, bias = encoder.get_weights()
    return x.reshape(len(x), -1) @ kernel + bias
