import keras
import numpy as np
import pytest
import tensorflow as tf

from clel_tf import random
from clel_tf.samplers import SGLD
from clel_tf.samplers import langevin


def energy(x):
    return 10.0 * tf.reduce_sum((x - 0.5) ** 2, axis=(1, 2, 3))


def chains(rows=3):
    keys = random.fold_in(random.as_key(0), tf.range(rows))
    return random.uniform(keys, (4, 4, 1)), keys


def sampler(**kwargs):
    options = {"step_size": 0.01, "noise_scale": 0.02, "num_steps": 4}
    return SGLD(**{**options, **kwargs})


def expected_chain(steps, **kwargs):
    initial, keys = chains()
    state, info = langevin.run_chain(
        langevin.init(initial),
        energy,
        keys,
        steps,
        step_size=0.01,
        noise_scale=0.02,
        **kwargs,
    )
    return state.samples, info


def test_defaults_are_the_papers():
    config = SGLD().get_config()
    assert config["step_size"] == 100.0
    assert config["noise_scale"] == 0.001
    assert config["num_steps"] == 60
    assert config["sample_steps"] == 600
    assert SGLD().langevin_temperature == pytest.approx(5e-9)


def test_langevin_temperature():
    temperature = SGLD(step_size=10.0, noise_scale=0.005).langevin_temperature
    assert temperature == pytest.approx(1.25e-6)


@pytest.mark.parametrize("jit_compile", ["auto", False, True])
@pytest.mark.parametrize("steps", [None, 7, tf.constant(7)])
def test_runs_the_chain(jit_compile, steps):
    initial, keys = chains()
    samples, info = sampler(jit_compile=jit_compile).run(
        energy, initial, keys, steps
    )
    expected, expected_info = expected_chain(4 if steps is None else 7)
    np.testing.assert_allclose(samples, expected, atol=1e-5)
    for a, b in zip(info, expected_info, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_clips_gradients():
    initial, keys = chains()
    samples, _ = sampler(gradient_clip=0.5).run(energy, initial, keys)
    expected, _ = expected_chain(4, gradient_clip=0.5)
    np.testing.assert_allclose(samples, expected, atol=1e-6)
    assert np.abs(expected - expected_chain(4)[0]).max() > 0.01


def test_a_compiled_chain_runs_inside_a_graph():
    run = tf.function(
        lambda x, k, n: sampler(jit_compile=True).run(energy, x, k, n)[0]
    )
    initial, keys = chains()
    for steps in (2, 5):
        samples = run(initial, keys, tf.constant(steps))
        expected, _ = expected_chain(steps)
        np.testing.assert_allclose(samples, expected, atol=1e-5)
    assert run.experimental_get_tracing_count() == 1


def test_config_round_trip():
    original = SGLD(2.0, 0.0, 3, 4, gradient_clip=0.1, jit_compile=False)
    config = keras.saving.serialize_keras_object(original)
    copied = keras.saving.deserialize_keras_object(config)
    assert isinstance(copied, SGLD)
    assert copied.get_config() == original.get_config()
    assert copied.get_config() == {
        "step_size": 2.0,
        "noise_scale": 0.0,
        "num_steps": 3,
        "sample_steps": 4,
        "gradient_clip": 0.1,
        "jit_compile": False,
    }


@pytest.mark.parametrize(
    "arguments",
    [
        {"step_size": 0.0},
        {"step_size": float("nan")},
        {"noise_scale": -0.1},
        {"num_steps": 0},
        {"num_steps": 2.5},
        {"sample_steps": -1},
        {"gradient_clip": 0.0},
        {"jit_compile": "yes"},
    ],
)
def test_refuses_bad_arguments(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"Expected `{name}` .*received"):
        SGLD(**arguments)
