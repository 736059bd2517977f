import pathlib
import sys

import pytest

import clel_tf
from clel_tf.callbacks.training_state import copy_state
from clel_tf.callbacks.training_state import set_state

sys.path.append(str(pathlib.Path(__file__).parent))

import tiny_model  # noqa: E402


@pytest.fixture(scope="session")
def built():
    # Its training step is traced once for all tests.
    model = tiny_model.build()
    return model, copy_state(model)


@pytest.fixture
def model(built):
    # As new as in a new process.
    model, untrained = built
    set_state(model, untrained)
    return model


@pytest.fixture(scope="session")
def digits():
    return clel_tf.data.load("digits").take(64)
