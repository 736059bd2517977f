import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf

from clel_tf.samplers import reflection

SCALES = [0.02, 0.3, 1.0]
# Numbers of few digits, so that the rounding is the functions' own.
MEANS = np.array([-2.375, -1.0, -0.125, 0.0, 0.5, 0.9375, 1.0, 1.25, 3.5])
POINTS = np.arange(0, 1025) / 1024


def log_density(mean, scale):
    return reflection.log_density(
        tf.constant(POINTS, tf.float32), float(mean), scale
    ).numpy()


def brute_force(mean, scale):
    k = np.arange(-60, 61)[:, np.newaxis]
    images = np.concatenate([POINTS + 2 * k, -POINTS + 2 * k])
    terms = scipy.stats.norm.logpdf(images, mean, scale)
    return scipy.special.logsumexp(terms, axis=0)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("mean", MEANS)
def test_density_is_the_sum_over_many_images(mean, scale):
    expected = brute_force(mean, scale)
    np.testing.assert_allclose(log_density(mean, scale), expected, 1e-5, 1e-5)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("mean", MEANS)
def test_density_integrates_to_one(mean, scale):
    density = np.exp(log_density(mean, scale).astype("float64"))
    # Even about 0 and 1 and smooth: the trapezoidal rule is exact.
    assert np.trapezoid(density, POINTS) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("scale", SCALES)
def test_images_are_what_the_nearest_one_lacks(scale):
    mean = 0.0625
    nearest = scipy.stats.norm.logpdf(POINTS, mean, scale)
    received = reflection.log_images(
        tf.constant(POINTS, tf.float32), mean, scale
    )
    expected = brute_force(mean, scale) - nearest
    assert np.all(received >= 0)
    np.testing.assert_allclose(received, expected, 1e-5, 1e-6)


def test_fold_is_a_triangle_wave():
    values = np.arange(-50, 51) / 8
    expected = np.abs((values + 1) % 2 - 1)
    folded = reflection.fold(tf.constant(values, tf.float32))
    np.testing.assert_array_equal(folded, expected)


def test_fold_keeps_numbers_within_and_the_digits_of_small_ones():
    within = tf.constant([0.0, 1e-30, 0.1, 1 - 2**-24, 1.0])
    np.testing.assert_array_equal(reflection.fold(within), within)
    small = tf.constant([-1e-30, -3.14159e-5])
    np.testing.assert_array_equal(reflection.fold(small), -small)


def test_folded_normal_numbers_have_the_density():
    n = np.random.default_rng(0).normal(size=20_000)
    mean, scale = 0.9, 0.3
    folded = reflection.fold(tf.constant(mean + scale * n, tf.float32))
    density = np.exp(log_density(mean, scale).astype("float64"))
    steps = (density[1:] + density[:-1]) / 2 / 1024
    distribution = np.concatenate([[0.0], np.cumsum(steps)])
    test = scipy.stats.kstest(
        folded, lambda x: np.interp(x, POINTS, distribution)
    )
    assert test.pvalue > 0.01
