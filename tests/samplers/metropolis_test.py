import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf

from clel_tf import random
from clel_tf.samplers import langevin
from clel_tf.samplers import metropolis

ROWS = 20_000
BOUNDS = [None, "reflect"]


def keys_of(rows, seed=0):
    return random.fold_in(random.as_key(seed), tf.range(rows))


def uniform(rows, *shape):
    return random.uniform(keys_of(rows, seed=1), shape)


def quadratic(precisions, center=0.5):
    def energy(x):
        return 0.5 * tf.reduce_sum(precisions * (x - center) ** 2, axis=1)

    return energy


def run(samples, energy, steps, keys=None, **kernel):
    @tf.function(autograph=False)
    def chain(samples, keys, steps):
        state = metropolis.init(samples, energy)
        return metropolis.run_chain(state, energy, keys, steps, **kernel)

    keys = keys_of(len(samples)) if keys is None else keys
    return chain(samples, keys, tf.constant(steps))


def numbers(state):
    return state.samples.numpy().astype("float64")


# The unadjusted chain's variance v = (1 - h k)^2 v + 2 h T is too large by the
# factor 1 / (1 - h k / 2), here by up to 3.3.
@pytest.mark.parametrize("bounds", BOUNDS)
def test_variances_have_not_the_bias_of_unadjusted_chains(bounds):
    k, h, temperature = np.array([1, 2, 4], "float32"), 0.35, 1e-4
    energy, start = quadratic(k), tf.fill((ROWS, 3), 0.5)
    options = {"step_size": h, "temperature": temperature, "bounds": bounds}
    x = numbers(run(start, energy, 100, **options)[0])
    np.testing.assert_allclose(x.mean(0), 0.5, atol=4e-2 / ROWS**0.5)
    error = 4 * (2 / ROWS) ** 0.5
    np.testing.assert_allclose(x.var(0), temperature / k, rtol=error)
    noise = (2 * h * temperature) ** 0.5
    state, _ = tf.function(langevin.run_chain, autograph=False)(
        langevin.init(start),
        energy,
        keys_of(ROWS),
        100,
        step_size=h,
        noise_scale=noise,
    )
    biased = temperature / (k * (1 - h * k / 2))
    np.testing.assert_allclose(numbers(state).var(0), biased, rtol=error)


@pytest.mark.parametrize("scale", [0.15, 0.5, 0.95])
def test_reflected_chains_sample_the_truncated_density(scale):
    center, sd = -0.1, 0.3
    x, info = run(
        uniform(ROWS, 1),
        quadratic(1.0, center),
        80,
        step_size=scale**2 / (2 * sd**2),
        temperature=sd**2,
        bounds="reflect",
    )
    x = numbers(x)[:, 0]
    expected = scipy.stats.truncnorm(
        -center / sd, (1 - center) / sd, center, sd
    )
    assert scipy.stats.kstest(x, expected.cdf).pvalue > 0.01
    assert x.mean() == pytest.approx(expected.mean(), rel=0.02)
    assert x.var() == pytest.approx(expected.var(), rel=0.05)


def test_reflected_chains_without_energy_are_uniform():
    x, info = run(
        tf.fill((ROWS, 2), 0.1),
        lambda x: 0.0 * tf.reduce_sum(x, axis=1),
        30,
        step_size=0.125,
        temperature=1.0,
        bounds="reflect",
    )
    for pixel in numbers(x).T:
        assert scipy.stats.kstest(pixel, "uniform").pvalue > 0.01
    np.testing.assert_allclose(info.acceptance, 1.0, atol=1e-5)


# Of E = k x^2 / 2 the logarithm is -h k^2 (x'^2 - x^2) / (4 T).
@pytest.mark.parametrize(
    "h, temperature, k, pixels",
    [(0.5, 0.7, 1.3, 3), (20.0, 1.25e-6, 1e-3, 3072)],
    ids=["wide", "digits"],
)
def test_ratio_of_a_gaussian_by_hand(h, temperature, k, pixels):
    sd = (temperature / k) ** 0.5
    start = 0.5 + sd * random.normal(keys_of(8, 1), (pixels,))
    state = metropolis.init(start, quadratic(k))
    noise = random.normal(keys_of(8), (pixels,))
    kernel = {"step_size": h, "temperature": temperature}
    samples = metropolis.propose(state, noise, **kernel)
    proposal = metropolis.init(samples, quadratic(k))
    ratio = metropolis.log_ratio(state, proposal, noise, **kernel)
    before, after = (numbers(s) - 0.5 for s in (state, proposal))
    change = (after**2 - before**2).sum(axis=1)
    expected = -h * k**2 / (4 * temperature) * change
    np.testing.assert_allclose(ratio, expected, rtol=1e-4, atol=2e-3)


def log_proposal(x, mean, scale, bounds):
    if bounds is None:
        return scipy.stats.norm.logpdf(x, mean, scale).sum(axis=1)
    k = np.arange(-30, 31)[:, np.newaxis, np.newaxis]
    images = np.concatenate([x + 2 * k, -x + 2 * k])
    terms = scipy.stats.norm.logpdf(images, mean, scale)
    return scipy.special.logsumexp(terms, axis=0).sum(axis=1)


# log p(x) q(x' | x) a(x, x') of E = precisions (x - 1.1)^2 / 2.
def log_flow(here, there, precisions, step_size, temperature, bounds):
    x, y = numbers(here), numbers(there)
    scale = (2 * step_size * temperature) ** 0.5
    mean = x - step_size * precisions * (x - 1.1)
    if bounds == "reflect":
        mean = np.abs((mean + 1) % 2 - 1)
    ratio = metropolis.log_ratio(
        here,
        there,
        tf.constant((y - mean) / scale, tf.float32),  # noise that leads there
        step_size=step_size,
        temperature=temperature,
        bounds=bounds,
    )
    energy = 0.5 * (precisions * (x - 1.1) ** 2).sum(axis=1)
    move = log_proposal(y, mean, scale, bounds)
    return -energy / temperature + move + np.minimum(ratio, 0)


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("scale", [0.05, 0.5])
def test_detailed_balance(bounds, scale):
    k, temperature = np.array([1.0, 6.0]), 0.4
    kernel = {"temperature": temperature, "bounds": bounds}
    kernel["step_size"] = scale**2 / (2 * temperature)
    energy = quadratic(k.astype("float32"), 1.1)
    here = metropolis.init(uniform(64, 2), energy)
    noise = random.normal(keys_of(64), (2,))
    there = metropolis.init(metropolis.propose(here, noise, **kernel), energy)
    forth, back = (
        log_flow(a, b, k, **kernel) for a, b in ((here, there), (there, here))
    )
    np.testing.assert_allclose(forth, back, atol=2e-4)


def step(state, energy, **kernel):
    keys = keys_of(len(state.samples))
    return metropolis.metropolis_step(state, energy, keys, **kernel)


def test_rejected_rows_stay_and_accepted_ones_move():
    energy = quadratic(tf.constant([1.0, 9.0]))
    state = metropolis.init(uniform(ROWS, 2), energy)
    kernel = {"step_size": 0.2, "temperature": 0.05}
    moved, info = step(state, energy, **kernel)
    stayed = info.displacement.numpy() == 0.0
    for a, b in zip(moved[:3], state[:3], strict=True):
        np.testing.assert_array_equal(a[stayed], b[stayed])
    noise = random.normal(random.fold_in(keys_of(ROWS), 0), (2,))
    proposed = metropolis.propose(state, noise, **kernel)
    np.testing.assert_array_equal(moved.samples[~stayed], proposed[~stayed])
    np.testing.assert_allclose(moved.energy, energy(moved.samples), 1e-6)
    # As many moved as the probabilities tell.
    a = info.acceptance.numpy()
    error = 4 * float(np.sum(a * (1 - a))) ** 0.5
    assert 0.2 < a.mean() < 0.9
    assert np.sum(~stayed) == pytest.approx(a.sum(), abs=error)


def test_information_of_a_step_by_hand():
    state = metropolis.init(uniform(5, 2), quadratic(2.0))
    moved, info = step(state, quadratic(2.0), step_size=0.1, temperature=0.1)
    before = numbers(state) - 0.5
    change = numbers(moved) - numbers(state)
    norms = 2 * np.sqrt((before**2).sum(axis=1))
    np.testing.assert_allclose(info.energy, (before**2).sum(axis=1), 1e-4)
    np.testing.assert_allclose(info.gradient_norm, norms, 1e-4)
    displacement = np.sqrt((change**2).mean(axis=1))
    np.testing.assert_allclose(info.displacement, displacement, 1e-4)


# What is refused falls as h^(3/2), and as h where pixels reach the bounds.
@pytest.mark.parametrize("bounds", BOUNDS)
def test_short_steps_are_accepted(bounds):
    energy, refused = quadratic(1.0), []
    state = metropolis.init(uniform(400, 16), energy)
    for h in (1e-1, 1e-3, 1e-5):
        _, info = step(
            state, energy, step_size=h, temperature=0.1, bounds=bounds
        )
        refused.append(1 - np.mean(info.acceptance))
    assert 0.2 > refused[0] > 10 * refused[1] > 100 * refused[2]
    assert refused[2] < 1e-4


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_proposals_without_a_finite_energy_are_rejected(value):
    def energy(x):
        return tf.where(x[:, 0] > 0.6, value, 0.5 * x[:, 0] ** 2)

    start = 0.6 * uniform(500, 1)
    state, info = run(start, energy, 20, step_size=0.1, temperature=1.0)
    assert np.all(np.isfinite(state.energy)) and np.all(state.samples <= 0.6)
    assert 20 < np.sum(info.acceptance == 0.0) < 480
    assert np.min(state.samples) < -0.2


COUPLED = np.array([[3.0, 1.0], [1.0, 2.0]], "float32")


def coupled(x):
    return 0.5 * tf.reduce_sum(x * tf.matmul(x, COUPLED), axis=1)


def test_chains_with_a_known_pixel_sample_the_others_given_it():
    x, _ = run(
        tf.fill((ROWS, 2), 0.7),
        coupled,
        60,
        step_size=0.3,
        temperature=0.5,
        project=lambda x: tf.stack([x[:, 0], tf.fill((ROWS,), 0.7)], axis=1),
    )
    free, known = numbers(x).T
    np.testing.assert_array_equal(known, np.float32(0.7))
    variance = 0.5 / 3
    assert free.var() == pytest.approx(variance, rel=4 * (2 / ROWS) ** 0.5)
    error = 4 * (variance / ROWS) ** 0.5
    assert free.mean() == pytest.approx(-0.7 / 3, abs=error)


def test_chains_in_an_affine_set_sample_the_density_there():
    def project(x):
        return x + (1.0 - tf.reduce_sum(x, axis=1, keepdims=True)) / 2

    x, _ = run(
        tf.fill((ROWS, 2), 0.5),
        coupled,
        60,
        step_size=0.4,
        temperature=0.5,
        project=project,
    )
    x = numbers(x)
    np.testing.assert_allclose(x.sum(axis=1), 1.0, atol=1e-6)
    # x = (t, 1 - t): E = (3 t^2 + 2 t (1 - t) + 2 (1 - t)^2) / 2
    variance = 0.5 / 3
    assert x[:, 0].var() == pytest.approx(variance, rel=4 * (2 / ROWS) ** 0.5)
    error = 4 * (variance / ROWS) ** 0.5
    assert x[:, 0].mean() == pytest.approx(1 / 3, abs=error)


@pytest.mark.parametrize("bounds", BOUNDS)
def test_known_pixels_stay_and_cancel_from_the_ratio(bounds):
    known = tf.constant([0.0, 0.3, 1.0])
    start = tf.concat([uniform(50, 2), tf.tile(known[None], (50, 1))], axis=1)
    kernel = {"step_size": 0.3, "temperature": 0.2, "bounds": bounds}
    # The gradient at the known pixels is not 0.
    state, info = run(
        start,
        quadratic(3.0, 0.2),
        1,
        project=lambda x: tf.concat([x[:, :2], start[:, 2:]], axis=1),
        **kernel,
    )
    np.testing.assert_array_equal(state.samples[:, 2:], start[:, 2:])
    noise = random.normal(random.fold_in(keys_of(50), 0), (5,))[:, :2]
    alone = metropolis.init(start[:, :2], quadratic(3.0, 0.2))
    proposed = metropolis.init(
        metropolis.propose(alone, noise, **kernel), quadratic(3.0, 0.2)
    )
    ratio = metropolis.log_ratio(alone, proposed, noise, **kernel)
    expected = np.exp(np.minimum(ratio, 0))
    np.testing.assert_allclose(info.acceptance, expected, atol=1e-4)


OPTIONS = {"step_size": 0.02, "temperature": 0.5, "bounds": "reflect"}


def test_a_chain_in_two_parts_is_the_chain():
    start, energy = uniform(6, 3), quadratic(4.0)
    whole, whole_info = run(start, energy, 12, **OPTIONS)
    part, _ = run(start, energy, 5, **OPTIONS)
    rest, rest_info = metropolis.run_chain(
        part, energy, keys_of(6), 7, **OPTIONS
    )
    assert int(rest.step) == 12
    for a, b in zip((*whole, *whole_info), (*rest, *rest_info), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_a_row_alone_is_the_row_in_a_batch():
    start, keys = uniform(6, 3), keys_of(6)
    batch, info = run(start, quadratic(4.0), 20, keys, **OPTIONS)
    alone, seen = run(start[4:5], quadratic(4.0), 20, keys[4:5], **OPTIONS)
    np.testing.assert_allclose(alone.samples[0], batch.samples[4], atol=1e-6)
    for a, b in zip(seen, info, strict=True):
        np.testing.assert_allclose(a[0], b[4], atol=1e-5)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_compiled_chains_agree_and_numbers_of_steps_do_not_retrace(jit_compile):
    traces = []

    def energy(x):
        traces.append(x.shape)
        return quadratic(4.0)(x)

    @tf.function(jit_compile=jit_compile, autograph=False)
    def chain(samples, steps):
        state = metropolis.init(samples, energy)
        return metropolis.run_chain(state, energy, keys_of(3), steps, **OPTIONS)

    for steps in (1, 15):
        state, info = chain(uniform(3, 4), tf.constant(steps))
        initial = metropolis.init(uniform(3, 4), quadratic(4.0))
        expected, seen = metropolis.run_chain(
            initial, quadratic(4.0), keys_of(3), steps, **OPTIONS
        )
        for a, b in zip((*state, *info), (*expected, *seen), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-4)
    assert traces == [(3, 4)] * 2  # at the start and in the loop


def test_no_gradient_flows_through_a_chain_or_into_weights():
    weight, samples = tf.Variable(4.0), uniform(2, 3)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(samples)
        energy = quadratic(weight)
        state, info = metropolis.run_chain(
            metropolis.init(samples, energy), energy, keys_of(2), 3, **OPTIONS
        )
    for value in (*state[:3], *info):
        assert tape.gradient(value, [weight, samples]) == [None, None]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"bounds": "clip"}, '`bounds` to be None or "reflect"; received'),
        ({"bounds": "reflect", "step_size": 1.01}, "at most 1 .*received"),
    ],
)
def test_refuses(options, message):
    state = metropolis.init(uniform(2, 3), quadratic(1.0))
    kernel = {"step_size": 1.0, "temperature": 0.5, **options}
    with pytest.raises(ValueError, match=message):
        step(state, quadratic(1.0), **kernel)
