import importlib.util
import json
import os
import pathlib
import runpy
import subprocess
import sys

import numpy as np
import pytest

from clel_tf.backend import require_tensorflow

COMPONENTS = pathlib.Path(__file__).parent / "components_on_a_backend.py"
# JAX compiles each operation, and most of the time goes there.
FAST_TO_COMPILE = "--xla_backend_optimization_level=0"
BACKENDS = ["jax", pytest.param("torch", marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def expected():
    return runpy.run_path(COMPONENTS)["results"]()


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request, tmp_path_factory):
    name = request.param
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    folder = tmp_path_factory.mktemp(name)
    finished = subprocess.run(
        [sys.executable, COMPONENTS, folder],
        env={**os.environ, "KERAS_BACKEND": name, "XLA_FLAGS": FAST_TO_COMPILE},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr[-4000:]
    return name, folder


def test_components_agree_with_tensorflow(backend, expected):
    received = np.load(backend[1] / "results.npz")
    assert sorted(received) == sorted(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(
            received[name], value, rtol=1e-4, atol=1e-5, err_msg=name
        )


def test_what_needs_tensorflow_says_so(backend):
    name, folder = backend
    refusals = json.loads((folder / "refusals.json").read_text())
    for refusal in refusals.values():
        assert refusal.endswith(
            f" needs the TensorFlow backend; Keras runs on {name}. "
            "Set KERAS_BACKEND=tensorflow before importing keras."
        )
    for name in ("CLEL", "SGLD", "ReplayBuffer", "SimCLRAugmentation"):
        assert refusals[name].startswith(f"{name} needs ")
    assert refusals["preset"].startswith("CLEL needs ")


def test_on_tensorflow_nothing_is_refused():
    require_tensorflow("This test")
