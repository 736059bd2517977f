import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.optimizers import schedules

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


def piecewise(*values):
    return schedules.PiecewiseConstantDecay([2], list(values))


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_schedule_is_chains_of_its_numbers(jit_compile):
    initial, keys = chains()
    samples, info = sampler(
        step_size=piecewise(0.01, 0.03),
        noise_scale=piecewise(0.02, 0.005),
        jit_compile=jit_compile,
    ).run(energy, initial, keys, 5)
    state = langevin.init(initial)
    for steps, step_size, noise in ((3, 0.01, 0.02), (2, 0.03, 0.005)):
        options = {"step_size": step_size, "noise_scale": noise}
        state, expected = langevin.run_chain(
            state, energy, keys, steps, **options
        )
    np.testing.assert_allclose(samples, state.samples, atol=1e-6)
    for a, b in zip(info, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_schedules_of_chains_that_go_on_begin_at_their_ages(jit_compile):
    # The energy's slope is 1, so a chain descends by the sum of its steps'.
    sizes = [0.05, 0.05, 0.05, 0.01, 0.01, 0.01]  # of the schedule, by step
    aged = sampler(
        step_size=piecewise(0.05, 0.01),
        noise_scale=piecewise(0.0, 0.0),
        sample_steps=6,
        jit_compile=jit_compile,
    ).tabulated()
    ages = [0, 1, 2, 3, 100]
    initial = tf.ones((5, 2, 2, 1))
    keys = random.fold_in(random.as_key(0), tf.range(5))
    samples, _ = aged.aged(tf.constant(ages)).run(
        lambda x: tf.reduce_sum(x, (1, 2, 3)), initial, keys, 3
    )
    descents = [sum(sizes[age : age + 3]) for age in ages[:4]] + [3 * sizes[-1]]
    expected = 1.0 - np.array(descents)
    np.testing.assert_allclose(
        samples, np.broadcast_to(expected[:, None, None, None], samples.shape)
    )


def test_numbers_are_of_chains_of_every_age():
    number = sampler(step_size=0.5, noise_scale=0.25)
    assert number.tabulated().aged(tf.constant([1, 2])) is number


def test_schedules_are_part_of_the_configuration():
    step_size = schedules.ExponentialDecay(0.5, 10, 0.1)
    original = SGLD(step_size, noise_scale=piecewise(0.02, 0.01))
    config = keras.saving.serialize_keras_object(original)
    copied = keras.saving.deserialize_keras_object(
        json.loads(json.dumps(config))
    )
    assert copied == original and hash(copied) == hash(original)
    assert isinstance(copied.step_size, schedules.ExponentialDecay)
    assert float(copied.step_size(10)) == pytest.approx(0.05)
    # The temperature is that of the first step.
    assert copied.langevin_temperature == pytest.approx(0.02**2 / (2 * 0.5))


def test_largest_step_size():
    assert sampler(step_size=3).largest_step_size(60) == 3.0
    rising = sampler(step_size=piecewise(0.25, 4.0))
    assert [rising.largest_step_size(n) for n in (3, 4)] == [0.25, 4.0]
    warm = schedules.CosineDecay(0.5, 20, warmup_target=1.0, warmup_steps=10)
    assert sampler(step_size=warm).largest_step_size(30) == 1.0
    assert sampler(step_size=warm).largest_step_size(6) == 0.75
    inside = tf.function(lambda: tf.constant(rising.largest_step_size(4)))
    assert inside() == 4.0


def test_equal_samplers_share_graphs():
    run = tf.function(
        lambda sampler, *rows: sampler.run(energy, *rows)[0], autograph=False
    )
    samplers = [sampler(step_size=s) for s in (0.01, 0.01, 0.02)]
    samplers += [sampler(step_size=piecewise(s, 0.1)) for s in (1.0, 1.0, 2.0)]
    for each in samplers:
        run(each, *chains())
    assert run.experimental_get_tracing_count() == 4
    assert samplers[0] == samplers[1] != samplers[2]
    assert len(set(samplers)) == 4


def test_a_sampler_is_not_equal_to_another_kind():
    class Other(SGLD):
        pass

    assert SGLD() != Other()
    assert SGLD() != SGLD().get_config()


def test_runs_begin_with_the_projection():
    initial, keys = chains()
    samples, _ = sampler().run(energy, initial, keys, 0, lambda x: 1 - x)
    np.testing.assert_array_equal(samples, 1 - initial)


def test_steps_one_by_one_are_the_run():
    initial, keys = chains()

    def project(x):
        return tf.concat([tf.fill((3, 1, 4, 1), 0.5), x[:, 1:]], axis=1)

    state = sampler().init(energy, initial, project)
    for _ in range(4):
        state, info = sampler().step(state, energy, keys, project)
    samples, expected = sampler().run(energy, initial, keys, project=project)
    np.testing.assert_array_equal(samples, state.samples)
    np.testing.assert_array_equal(samples[:, 0], tf.fill((3, 4, 1), 0.5))
    for a, b in zip(info, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_refuses_schedules_that_begin_with_bad_numbers():
    with pytest.raises(ValueError, match="Expected `step_size` .*positive"):
        SGLD(step_size=piecewise(0.0, 1.0))
    with pytest.raises(ValueError, match="Expected `noise_scale` .*at least"):
        SGLD(noise_scale=piecewise(-1.0, 1.0))
