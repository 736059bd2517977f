"""What TensorFlow's graph optimizer makes of a chain's network."""

import os
import pathlib
import subprocess
import sys

import pytest

SCRIPT = """
import sys
import numpy as np
from clel_tf.models import EnergyResNet, ResNetEncoder, CLEL
from clel_tf.samplers import SGLD
dtype = sys.argv[1]
shape = (8, 8, 1)
network = EnergyResNet(
    shape, widths=(8, 16), depths=(2, 2), head_width=16, dtype=dtype)
encoder = ResNetEncoder(shape, widths=(8,), depths=(1,), head_width=16)
model = CLEL(network, encoder, sampler=SGLD(jit_compile=False))
for n in (4, 5, 1):
    assert np.isfinite(model.sample(n, num_steps=2)).all()
"""


@pytest.mark.parametrize(
    "dtype",
    [pytest.param("float32", marks=pytest.mark.slow), "mixed_bfloat16"],
)
def test_nothing_fails_in_it(dtype, tmp_path):
    # Two blocks a stage and the stem are what it used to fail on.
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, dtype],
        capture_output=True,
        text=True,
        cwd=pathlib.Path(__file__).parents[2],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "0"},
    )
    assert result.returncode == 0, result.stderr
    assert "remapper failed" not in result.stderr
    assert "optimizer failed" not in result.stderr
