import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from clel_tf import random

GOLDEN, MASK = 0x9E3779B97F4A7C15, 2**64 - 1
SIZE = 200_000


def mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def split_mix_64(state, count):
    outputs = []
    for _ in range(count):
        state = (state + GOLDEN) & MASK
        outputs.append(mix(state))
    return outputs


def uint64(value):
    return tf.constant(value, tf.uint64)


def key_rows(count, seed=0):
    return random.fold_in(random.as_key(seed), tf.range(count))


def run(function, mode, *args):
    if mode != "eager":
        function = tf.function(function, jit_compile=mode == "jit")
    return function(*args).numpy()


def test_bits_are_the_published_stream_of_split_mix_64():
    # The stream of state 1234567, as published with the algorithm's code.
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert split_mix_64(1234567, 5) == expected
    assert random.bits(uint64(1234567), (5,)).numpy().tolist() == expected


@pytest.mark.parametrize("mode", ["eager", "graph", "jit"])
def test_bits_of_many_keys_in_every_mode(mode):
    states = [0, 1, 2**63, MASK]
    drawn = run(lambda k: random.bits(k, (3, 2)), mode, uint64(states))
    expected = [split_mix_64(state, 6) for state in states]
    assert drawn.reshape(4, 6).tolist() == expected


@pytest.mark.parametrize(
    "seed", [0, 1, -1, 2**31, -(2**63), 2**63 - 1, np.uint64(2**63 + 5)]
)
def test_keys_of_any_integer_seed(seed):
    expected = split_mix_64(int(seed) & MASK, 1)[0]
    assert int(random.as_key(seed)) == expected


def test_keys_of_a_tensor_of_seeds():
    seeds = np.array([[-3, 0], [7, 2**40]])
    expected = [
        [split_mix_64(s & MASK, 1)[0] for s in r] for r in seeds.tolist()
    ]
    assert random.as_key(seeds).numpy().tolist() == expected


@pytest.mark.parametrize("data", [0, 3, -1, 2**40])
@pytest.mark.parametrize("mode", ["eager", "graph", "jit"])
def test_fold_in_of_ints_and_tensors(data, mode):
    expected = mix(((99 ^ 0xD1B54A32D192ED03) + data * GOLDEN) & MASK)
    assert int(random.fold_in(uint64(99), data)) == expected
    tensor = tf.constant(data, tf.int64)
    assert run(random.fold_in, mode, uint64(99), tensor) == expected


def test_fold_in_broadcasts_to_distinct_keys():
    keys = random.fold_in(key_rows(50)[:, tf.newaxis], tf.range(40))
    assert keys.shape == (50, 40)
    assert len(np.unique(keys)) == 2000


@pytest.mark.parametrize("mode", ["graph", "jit"])
def test_uniforms_are_equal_in_every_mode(mode):
    keys = key_rows(5)
    draw = lambda k: random.uniform(k, (7, 3))  # noqa: E731
    np.testing.assert_array_equal(run(draw, mode, keys), draw(keys))


@pytest.mark.parametrize("mode", ["graph", "jit"])
def test_normals_agree_to_rounding_in_every_mode(mode):
    keys = key_rows(50)
    draw = lambda k: random.normal(k, (99,))  # noqa: E731
    np.testing.assert_allclose(run(draw, mode, keys), draw(keys), atol=1e-5)


def test_a_row_alone_draws_what_it_draws_in_a_batch():
    keys = key_rows(9)
    for draw in (random.bits, random.uniform):
        batch, alone = draw(keys, (4, 5)), draw(keys[3], (4, 5))
        np.testing.assert_array_equal(batch[3], alone)
    batch, alone = random.normal(keys, (5, 3)), random.normal(keys[3], (5, 3))
    np.testing.assert_allclose(batch[3], alone, atol=1e-6)


def test_uniforms_are_the_top_24_bits():
    keys = key_rows(100)
    expected = (random.bits(keys).numpy() >> 40) / 2**24
    np.testing.assert_array_equal(random.uniform(keys), expected)


def test_uniforms_fill_their_interval_evenly():
    u = random.uniform(random.as_key(1), (SIZE,), -2.0, 3.0).numpy()
    assert u.dtype == np.float32
    assert -2.0 <= u.min() < -1.999 and 2.999 < u.max() < 3.0
    assert scipy.stats.kstest((u + 2.0) / 5.0, "uniform").pvalue > 0.01


@pytest.mark.parametrize("shape", [(SIZE,), ()])
def test_normals_have_the_moments_of_a_normal(shape):
    # One stream of many draws, and many keys of one draw.
    keys = random.as_key(3) if shape else key_rows(SIZE, seed=3)
    n = random.normal(keys, shape).numpy().astype("float64")
    assert n.shape == (SIZE,)
    assert abs(n.mean()) < 4 * SIZE**-0.5
    assert abs(n.var() - 1.0) < 4 * (2.0 / SIZE) ** 0.5
    assert abs((n**3).mean()) < 4 * (15.0 / SIZE) ** 0.5
    assert abs((n**4).mean() - 3.0) < 4 * (96.0 / SIZE) ** 0.5
    assert scipy.stats.kstest(n, "norm").pvalue > 0.01
    assert 4.0 < np.abs(n).max() < 6.8


def test_a_million_normals_of_an_odd_shape_are_finite():
    n = random.normal(key_rows(1000), (1001,))
    assert n.shape == (1000, 1001)
    assert np.isfinite(n).all()


def correlation(a, b):
    return np.corrcoef(np.ravel(a), np.ravel(b))[0, 1] * np.size(a) ** 0.5


def test_adjacent_keys_steps_and_seeds_are_uncorrelated():
    seeds = random.normal(random.as_key(tf.range(400)), (500,)).numpy()
    rows = random.normal(key_rows(400), (500,)).numpy()
    steps = random.normal(random.fold_in(key_rows(400), 1), (500,)).numpy()
    for n in (seeds, rows):
        assert abs(correlation(n[1:], n[:-1])) < 4
        assert abs(correlation(n[:, 1:], n[:, :-1])) < 4
        assert abs(correlation(n[1:] ** 2, n[:-1] ** 2)) < 4
    assert abs(correlation(rows, steps)) < 4
    assert abs(correlation(rows**2, steps**2)) < 4


def test_the_two_normals_of_one_draw_are_independent():
    first, second = np.split(random.normal(random.as_key(5), (SIZE,)), 2)
    assert abs(correlation(first, second)) < 4
    assert abs(correlation(first**2, second**2)) < 4


def test_normals_do_not_repeat_the_uniforms_of_their_key():
    keys = key_rows(SIZE)
    folded = random.uniform(random.fold_in(keys, 0))
    assert abs(correlation(random.uniform(keys), folded)) < 4


def test_row_seeds():
    seeds = random.row_seeds(7, 5000)
    assert seeds.dtype == np.int64 and seeds.shape == (5000,)
    assert seeds.min() >= 0 and len(np.unique(seeds)) == 5000
    np.testing.assert_array_equal(seeds[:10], random.row_seeds(7, 10))
    assert not np.intersect1d(seeds, random.row_seeds(8, 5000)).size
