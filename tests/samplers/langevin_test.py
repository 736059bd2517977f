import numpy as np
import pytest
import tensorflow as tf

from clel_tf import random
from clel_tf.layers import SpectralConv2D
from clel_tf.samplers import langevin

STEPS = {"step_size": 0.01, "noise_scale": 0.02}


def quadratic(stiffness):
    def energy(x):
        return 0.5 * stiffness * tf.reduce_sum((x - 0.5) ** 2, axis=(1, 2, 3))

    return energy


def keys_of(rows, seed=0):
    return random.fold_in(random.as_key(seed), tf.range(rows))


def start(rows, shape=(4, 4, 1), seed=1):
    return random.uniform(keys_of(rows, seed), shape)


def run_compiled(samples, keys, steps, **kwargs):
    chain = tf.function(lambda x, k, n: run(x, k, n, **kwargs)[0].samples)
    return chain(samples, keys, tf.constant(steps)).numpy().astype("float64")


def run(samples, keys, steps, stiffness=20.0, **kwargs):
    state = langevin.init(samples)
    options = {**STEPS, **kwargs}
    return langevin.run_chain(
        state, quadratic(stiffness), keys, steps, **options
    )


# The chain x <- x - a (x - 1/2) + noise n, a = step_size * stiffness, is an
# autoregression: its variance solves v = (1 - a)^2 v + noise^2, without error
# in the step size.
@pytest.mark.parametrize("step_size", [0.002, 0.02, 0.07])
def test_stationary_distribution_is_exactly_that_of_the_autoregression(
    step_size,
):
    stiffness, noise, rows = 20.0, 0.01, 400
    a = step_size * stiffness
    steps = int(np.ceil(np.log(1e-4) / np.log(abs(1 - a))))
    x = run_compiled(
        tf.fill((rows, 5, 4, 1), 0.55),
        keys_of(rows),
        steps,
        step_size=step_size,
        noise_scale=noise,
    )
    variance = noise**2 / (1 - (1 - a) ** 2)
    assert abs(x.mean() - 0.5) < 4 * (variance / x.size) ** 0.5
    error = 4 * variance * (2 / x.size) ** 0.5
    assert x.var() == pytest.approx(variance, abs=error)
    # The pixels are independent of each other, within and across rows.
    n = (x.reshape(rows, 20) - 0.5) / variance**0.5
    assert abs(np.mean(n[1:] * n[:-1])) < 4 / n.size**0.5
    assert abs(np.mean(n[:, 1:] * n[:, :-1])) < 4 / n.size**0.5


def test_small_steps_sample_at_the_documented_temperature():
    # p(x) ~ exp(-E / T), E = k (x - 1/2)^2 / 2: a variance of T / k.
    step_size, noise, stiffness = 0.002, 0.01, 20.0
    temperature = noise**2 / (2 * step_size)
    x = run_compiled(
        tf.fill((300, 5, 4, 1), 0.5),
        keys_of(300),
        120,
        step_size=step_size,
        noise_scale=noise,
    )
    assert x.var() == pytest.approx(temperature / stiffness, rel=0.1)


def test_one_step_by_hand():
    samples, keys = start(3), keys_of(3)
    state, info = run(samples, keys, 1)
    noise = random.normal(random.fold_in(keys, 0), (4, 4, 1)).numpy()
    x = samples.numpy().astype("float64")
    gradient = 20.0 * (x - 0.5)
    moved = np.clip(x - 0.01 * gradient + 0.02 * noise, 0.0, 1.0)
    np.testing.assert_allclose(state.samples, moved, atol=1e-6)
    assert int(state.step) == 1
    per_row = {
        "energy": 10.0 * ((x - 0.5) ** 2).sum(axis=(1, 2, 3)),
        "gradient_norm": np.sqrt((gradient**2).sum(axis=(1, 2, 3))),
        "displacement": np.sqrt(((moved - x) ** 2).mean(axis=(1, 2, 3))),
    }
    for name, expected in per_row.items():
        received = getattr(info, name)
        assert received.dtype == tf.float32
        np.testing.assert_allclose(received, expected, rtol=1e-4)


def test_samples_stay_in_the_unit_interval():
    state, _ = run(start(4), keys_of(4), 5, noise_scale=1.0)
    x = state.samples.numpy()
    assert x.min() == 0.0 and x.max() == 1.0
    assert np.mean((x == 0.0) | (x == 1.0)) > 0.2


def test_gradient_clip_bounds_each_pixels_drift():
    samples = tf.reshape(tf.constant([0.1, 0.499, 0.501, 0.9]), (1, 2, 2, 1))
    options = {"step_size": 0.5, "noise_scale": 0.0, "stiffness": 100.0}
    state, info = run(samples, keys_of(1), 1, gradient_clip=0.2, **options)
    moved = [0.2, 0.549, 0.451, 0.8]  # gradients -40, -0.1, 0.1, 40
    np.testing.assert_allclose(np.ravel(state.samples), moved, atol=1e-5)
    # What the information tells is the gradient itself.
    assert float(info.gradient_norm[0]) == pytest.approx(40 * 2**0.5, rel=1e-4)
    unclipped, _ = run(samples, keys_of(1), 1, **options)
    moved = [1.0, 0.549, 0.451, 0.0]
    np.testing.assert_allclose(np.ravel(unclipped.samples), moved, atol=1e-5)


def test_noise_may_differ_between_rows():
    noise = tf.reshape(tf.constant([0.0, 0.01]), (2, 1, 1, 1))
    samples = tf.fill((2, 8, 8, 1), 0.5)
    state, _ = run(samples, keys_of(2), 3, noise_scale=noise)
    still, moving = state.samples.numpy()
    assert np.all(still == 0.5)
    assert moving.std() > 0.01


def test_a_chain_in_two_parts_is_the_chain():
    samples, keys = start(6), keys_of(6)
    whole, whole_info = run(samples, keys, 12)
    part, _ = run(samples, keys, 5)
    assert int(part.step) == 5
    rest, rest_info = langevin.run_chain(
        part, quadratic(20.0), keys, 7, **STEPS
    )
    assert int(rest.step) == 12
    np.testing.assert_array_equal(whole.samples, rest.samples)
    for a, b in zip(whole_info, rest_info, strict=True):
        np.testing.assert_array_equal(a, b)
    # The state tells the parts from two chains of the same noise.
    again, _ = run(part.samples, keys, 7)
    assert np.abs(again.samples - rest.samples).max() > 0.01


def test_a_row_alone_is_the_row_in_a_batch():
    samples, keys = start(6), keys_of(6)
    batch, batch_info = run(samples, keys, 20)
    alone, alone_info = run(samples[4:5], keys[4:5], 20)
    np.testing.assert_allclose(alone.samples[0], batch.samples[4], atol=1e-6)
    for a, b in zip(alone_info, batch_info, strict=True):
        np.testing.assert_allclose(a[0], b[4], rtol=1e-5)


def test_each_chain_may_have_its_own_number_of_steps():
    counts = [3, 0, 7, 1]
    state, info = run(start(4), keys_of(4), tf.constant(counts))
    assert int(state.step) == 7
    for row, count in enumerate(counts):
        alone, seen = run(start(4), keys_of(4), count)
        np.testing.assert_array_equal(state.samples[row], alone.samples[row])
        for got, expected in zip(info, seen):
            np.testing.assert_array_equal(got[row], expected[row])


def test_no_steps():
    samples = start(2)
    state, info = run(samples, keys_of(2), 0)
    np.testing.assert_array_equal(state.samples, samples)
    assert all(np.all(x == np.zeros(2)) for x in info)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_compiled_chains_agree_and_numbers_of_steps_do_not_retrace(jit_compile):
    traces = []

    def energy(x):
        traces.append(x.shape)
        return quadratic(20.0)(x)

    @tf.function(jit_compile=jit_compile)
    def chain(samples, keys, steps):
        state = langevin.init(samples)
        return langevin.run_chain(state, energy, keys, steps, **STEPS)

    samples, keys = start(3), keys_of(3)
    for steps in (1, 25):
        state, info = chain(samples, keys, tf.constant(steps))
        expected, expected_info = run(samples, keys, steps)
        assert int(state.step) == steps
        np.testing.assert_allclose(state.samples, expected.samples, atol=1e-5)
        for a, b in zip(info, expected_info, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    assert chain.experimental_get_tracing_count() == 1
    assert traces == [(3, 4, 4, 1)]


def nodes_of_chain(steps):
    @tf.function(input_signature=[tf.TensorSpec((None, 4, 4, 1))])
    def chain(samples):
        return run(samples, keys_of(2), steps)[0].samples

    graph = chain.get_concrete_function().graph.as_graph_def()
    inner = [n for f in graph.library.function for n in f.node_def]
    return [node.op for node in [*graph.node, *inner]]


def test_the_graph_is_one_loop_whatever_the_number_of_steps():
    few, many = nodes_of_chain(2), nodes_of_chain(500)
    loops = [op for op in many if op in ("While", "StatelessWhile")]
    assert len(loops) == 1
    assert sorted(few) == sorted(many)
    # Nothing is kept from step to step for a gradient.
    assert not [op for op in many if op.startswith("TensorList")]


def test_no_gradient_flows_through_a_chain_or_into_weights():
    weight, samples = tf.Variable(20.0), start(2)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(samples)
        state, _ = langevin.run_chain(
            langevin.init(samples),
            lambda x: quadratic(weight)(x),
            keys_of(2),
            3,
            **STEPS,
        )
        loss = tf.reduce_sum(state.samples)
    assert tape.gradient(loss, [weight, samples]) == [None, None]


def test_a_networks_weights_and_cache_are_unchanged():
    layer = SpectralConv2D(3, seed=0)

    def energy(x):
        return tf.reduce_sum(
            tf.square(layer(x, training=False)), axis=(1, 2, 3)
        )

    layer.build((None, 4, 4, 1))
    before = [v.numpy().copy() for v in layer.variables]
    state, _ = langevin.run_chain(
        langevin.init(start(2)), energy, keys_of(2), 5, **STEPS
    )
    assert np.abs(state.samples - start(2)).max() > 0.01
    for old, new in zip(before, layer.variables, strict=True):
        np.testing.assert_array_equal(old, new)


def test_numbers_may_be_functions_of_the_step():
    samples, keys = start(3), keys_of(3)
    scheduled, scheduled_info = run(
        samples,
        keys,
        4,
        step_size=lambda t: tf.where(t < 2, 0.01, 0.03),
        noise_scale=lambda t: 0.02 / tf.cast(t + 1, tf.float64),
    )
    state = langevin.init(samples)
    for t, step_size in enumerate([0.01, 0.01, 0.03, 0.03]):
        options = {"step_size": step_size, "noise_scale": 0.02 / (t + 1)}
        state, info = langevin.langevin_step(
            state, quadratic(20.0), keys, **options
        )
    np.testing.assert_allclose(scheduled.samples, state.samples, atol=1e-6)
    np.testing.assert_allclose(
        scheduled_info.displacement, info.displacement, rtol=1e-4
    )


def test_known_pixels_are_put_back_after_every_step():
    samples, keys = start(3), keys_of(3)
    mask = tf.constant(np.arange(16).reshape(4, 4, 1) < 5)

    def energy(x):  # every pixel pulls at all others
        return 2.0 * tf.reduce_sum(x, axis=(1, 2, 3)) ** 2

    state, info = langevin.run_chain(
        langevin.init(samples),
        energy,
        keys,
        6,
        project=lambda x: tf.where(mask, samples, x),
        **STEPS,
    )
    known = np.broadcast_to(mask, samples.shape)
    np.testing.assert_array_equal(state.samples[known], samples[known])
    assert np.all(state.samples[~known] != samples[~known])
    # The last step saw them in their places, and that they did not move.
    before, _ = langevin.run_chain(
        langevin.init(samples),
        energy,
        keys,
        5,
        project=lambda x: tf.where(mask, samples, x),
        **STEPS,
    )
    change = (state.samples - before.samples).numpy().reshape(3, 16)
    np.testing.assert_allclose(info.energy, energy(before.samples), rtol=1e-6)
    np.testing.assert_allclose(
        info.displacement, np.sqrt((change**2).mean(axis=1)), rtol=1e-5
    )


def test_the_projection_follows_the_clip():
    samples = tf.fill((1, 2, 2, 1), 0.7)
    options = {"step_size": 1e-6, "noise_scale": 0.0}
    state, _ = run(samples, keys_of(1), 1, project=lambda x: 2 * x, **options)
    np.testing.assert_allclose(state.samples, 2 * samples, atol=1e-4)
