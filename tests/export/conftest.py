import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf

from clel_tf import presets
from clel_tf.export import export_sampler

# The modules that the tests share stand beside them, and MLServer's also serve
# its load test.
sys.path.append(str(pathlib.Path(__file__).parent))
sys.path.append(str(pathlib.Path(__file__).parents[2] / "benchmarks"))

STEPS, MAX_STEPS, CLASSES = 4, 6, 3


@pytest.fixture(scope="session")
def model():
    config = presets.get("digits")
    for name in ("energy_network", "encoder"):
        config[name].update(widths=[8, 8], depths=[1, 1], head_width=16)
        # In bfloat16, two graphs of one network differ by more than rounding
        # of float32, which is what samples are compared to here.
        config[name]["dtype"] = "float32"
    model = presets.build(config)
    model.compile(total_steps=1)
    # Averages unlike the live networks', and no two variables alike.
    generator = np.random.default_rng(0)
    for variable in _averaged(model):
        noise = generator.uniform(0.001, 0.01, variable.shape)
        variable.assign_add(noise.astype("float32"))
    return model


@pytest.fixture(scope="session")
def class_latents():
    latents = np.random.default_rng(1).normal(size=(CLASSES, 64))
    return latents.astype("float32")


@pytest.fixture(scope="session")
def path(model, class_latents, tmp_path_factory):
    return export_sampler(
        model,
        tmp_path_factory.mktemp("served") / "tiny",
        num_steps=STEPS,
        max_steps=MAX_STEPS,
        class_latents=class_latents,
        ood_threshold=0.25,
        energies={
            "first_or_second": model.guidance(class_latents[0])
            | model.guidance(class_latents[1])
        },
    )


@pytest.fixture(scope="session")
def xla_path(model, tmp_path_factory):
    model.sampler.jit_compile = True  # what "auto" is where there is a GPU
    path = export_sampler(
        model,
        tmp_path_factory.mktemp("served_by_xla") / "tiny",
        num_steps=STEPS,
        max_steps=MAX_STEPS,
        xla=True,
    )
    model.sampler.jit_compile = "auto"
    return path


@pytest.fixture(scope="session")
def signatures(path):
    loaded = tf.saved_model.load(path)
    yield loaded.signatures  # which do not keep the variables alive


@pytest.fixture(scope="session")
def averaged(model):
    return _averaged(model)


def _averaged(model):
    return model.ema_energy_network.variables + model.ema_encoder.variables


@pytest.fixture(scope="session")
def images():
    images = np.random.default_rng(2).uniform(size=(5, 8, 8, 1))
    return images.astype("float32")
