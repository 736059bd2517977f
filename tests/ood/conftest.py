import keras
import numpy as np
import pytest

from clel_tf import layers
from clel_tf import models
from clel_tf import samplers

SHAPE = (8, 8, 1)


def linear(*widths):
    inputs = keras.Input(SHAPE)
    flat = keras.layers.Flatten()(inputs)
    outputs = [keras.layers.Dense(w, use_bias=False)(flat) for w in widths]
    return keras.Model(inputs, outputs if len(outputs) > 1 else outputs[0])


def build(seed=0):
    # Linear networks, whose scores are known in closed form. The averages are
    # unlike the live networks, as after training.
    model = models.CLEL(
        linear(5, 4),
        linear(4),
        sampler=samplers.SGLD(num_steps=1),
        replay_buffer=samplers.ReplayBuffer(capacity=8),
        augmentation=layers.SimCLRAugmentation(
            crop_scale=(0.6, 1.0),
            integer_boxes=False,
            jitter_probability=0,
            grayscale_probability=0,
        ),
        beta=0.3,
        levels=17,
    )
    generator = np.random.default_rng(seed)
    for network in (model.ema_energy_network, model.ema_encoder):
        network.set_weights(
            [0.3 * generator.normal(size=w.shape) for w in network.weights]
        )
    return model


@pytest.fixture(scope="session")
def model():
    return build()


@pytest.fixture(scope="session")
def build_model():
    return build


@pytest.fixture(scope="session")
def train():
    return np.random.default_rng(1).uniform(size=(30, *SHAPE)).astype("float32")


@pytest.fixture(scope="session")
def images():
    return np.random.default_rng(2).uniform(size=(6, *SHAPE)).astype("float32")
