import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from clel_tf import random
from clel_tf.samplers import MALA
from clel_tf.samplers import SGLD
from clel_tf.samplers import metropolis


def energy(x):
    return 10.0 * tf.reduce_sum((x - 0.5) ** 2, axis=(1, 2, 3))


def chains(rows=3):
    keys = random.fold_in(random.as_key(0), tf.range(rows))
    return random.uniform(keys, (4, 4, 1)), keys


def sampler(**kwargs):
    options = {"step_size": 0.01, "temperature": 0.3, "num_steps": 4}
    return MALA(**{**options, **kwargs})


def expected_chain(steps, bounds):
    initial, keys = chains()
    state, info = metropolis.run_chain(
        metropolis.init(initial, energy),
        energy,
        keys,
        steps,
        step_size=0.01,
        temperature=0.3,
        bounds=bounds,
    )
    return state.samples, info


@pytest.mark.parametrize(
    "bounds, steps, jit_compile",
    [
        (None, None, "auto"),
        ("reflect", tf.constant(7), "auto"),
        ("reflect", None, True),
    ],
)
def test_runs_the_chain(bounds, steps, jit_compile):
    initial, keys = chains()
    samples, info = sampler(bounds=bounds, jit_compile=jit_compile).run(
        energy, initial, keys, steps
    )
    count = 4 if steps is None else 7
    expected, expected_info = expected_chain(count, bounds)
    np.testing.assert_allclose(samples, expected, atol=1e-5)
    for a, b in zip(info, expected_info, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_steps_one_by_one_are_the_run_and_begin_with_the_projection():
    initial, keys = chains()

    def project(x):
        return tf.concat([tf.fill((3, 1, 4, 1), 0.25), x[:, 1:]], axis=1)

    state = sampler().init(energy, initial, project)
    np.testing.assert_array_equal(state.samples, project(initial))
    for _ in range(4):
        state, info = sampler().step(state, energy, keys, project)
    samples, expected = sampler().run(energy, initial, keys, project=project)
    np.testing.assert_array_equal(samples, state.samples)
    np.testing.assert_array_equal(samples[:, 0], tf.fill((3, 4, 1), 0.25))
    for a, b in zip(info, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_each_chain_may_have_its_own_number_of_steps():
    initial, keys = chains()
    samples, _ = sampler().run(energy, initial, keys, tf.constant([0, 2, 5]))
    for row, count in enumerate([0, 2, 5]):
        expected, _ = expected_chain(count, "reflect")
        np.testing.assert_array_equal(samples[row], expected[row])


def test_numbers_of_the_chain():
    mala = MALA(step_size=20.0, temperature=1.25e-6)
    assert mala.langevin_temperature == 1.25e-6
    assert mala.noise_scale == pytest.approx(0.0070711, rel=1e-4)
    assert mala.largest_step_size(60) == 20.0
    assert (mala.num_steps, mala.sample_steps) == (60, 600)
    # As that of the unadjusted chain of these numbers.
    sgld = SGLD(step_size=20.0, noise_scale=mala.noise_scale)
    assert sgld.langevin_temperature == pytest.approx(1.25e-6)


def test_config_round_trip():
    options = {
        "step_size": 2.0,
        "temperature": 0.01,
        "num_steps": 3,
        "sample_steps": 4,
        "bounds": None,
        "jit_compile": False,
    }
    original = MALA(**options)
    config = json.dumps(keras.saving.serialize_keras_object(original))
    copied = keras.saving.deserialize_keras_object(json.loads(config))
    assert isinstance(copied, MALA)
    assert copied.get_config() == original.get_config() == options
    assert copied == original and hash(copied) == hash(original)


def test_samplers_of_other_numbers_differ():
    others = [
        sampler(step_size=0.02),
        sampler(temperature=0.2),
        sampler(bounds=None),
        SGLD(step_size=0.01),
    ]
    assert len({sampler(), sampler(), *others}) == 5
    assert all(sampler() != other for other in others)


@pytest.mark.parametrize(
    "arguments",
    [
        {"step_size": 0.0},
        {"step_size": float("inf")},
        {"temperature": 0.0},
        {"temperature": float("nan")},
        {"num_steps": 0},
        {"sample_steps": 1.5},
        {"bounds": "clip"},
        {"jit_compile": "yes"},
    ],
)
def test_refuses_bad_arguments(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"Expected `{name}` .*received"):
        sampler(**arguments)


def test_refuses_noise_too_wide_to_reflect():
    with pytest.raises(ValueError, match="at most 1 .*received: 1.4"):
        MALA(step_size=1.0, temperature=1.0)
    assert MALA(step_size=1.0, temperature=1.0, bounds=None).noise_scale > 1.4
