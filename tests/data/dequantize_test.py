import numpy as np
import pytest
import tensorflow as tf

from clel_tf import random
from clel_tf.data import dequantize
from clel_tf.data import to_bytes


def _all_values(levels, copies):
    values = np.arange(levels, dtype=np.uint8).reshape(1, levels, 1, 1)
    return np.tile(values, [copies, 1, 3, 1])


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_midpoints(levels):
    images = _all_values(levels, copies=2)
    values = dequantize(images, levels)
    assert values.dtype == tf.float32
    np.testing.assert_allclose(values, (images + 0.5) / levels, rtol=1e-6)


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_noise_stays_in_the_interval_of_its_value(levels):
    images = _all_values(levels, copies=300)
    values = dequantize(images, levels, random.as_key(0)).numpy()
    np.testing.assert_array_equal(np.floor(values * levels), images)
    assert values.min() > 0.0 and values.max() < 1.0


def test_noise_is_uniform():
    values = dequantize(
        np.zeros([40, 50, 50, 1], np.uint8), 2, random.as_key(1)
    )
    noise = 2.0 * values.numpy().ravel()
    # 100,000 draws: five standard deviations of the mean, of the variance and
    # of an empirical quantile.
    assert abs(noise.mean() - 1 / 2) < 0.0046
    assert abs(noise.var() - 1 / 12) < 0.0012
    assert abs((noise < 0.25).mean() - 0.25) < 0.0069


def test_noise_is_that_of_the_row_keys():
    key, images = random.as_key(5), np.full([3, 2, 2, 1], 9, np.uint8)
    values = dequantize(images, 17, key).numpy()
    for row, value in enumerate(values):
        noise = random.uniform(random.fold_in(key, row), (2, 2, 1))
        np.testing.assert_allclose(value, (9 + noise) / 17, atol=2e-6)


def test_rows_do_not_depend_on_the_batch():
    key, images = random.as_key(5), np.full([5, 2, 2, 3], 9, np.uint8)
    whole = dequantize(images, 256, key).numpy()
    np.testing.assert_array_equal(dequantize(images[:2], 256, key), whole[:2])
    assert len(np.unique(whole)) == whole.size


def test_is_the_same_in_a_graph_of_unknown_batch():
    @tf.function(input_signature=[tf.TensorSpec([None, 4, 4, 1], tf.uint8)])
    def in_graph(images):
        return dequantize(images, 17, random.as_key(2))

    images = np.full([3, 4, 4, 1], 16, np.uint8)
    eager = dequantize(images, 17, random.as_key(2))
    np.testing.assert_array_equal(in_graph(images), eager)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_pass(dtype):
    images = np.array([[0.0, 0.25, 1.0]], dtype)
    values = dequantize(images, 256, random.as_key(0))
    assert values.dtype == tf.float32
    np.testing.assert_array_equal(values, images)


def test_to_bytes_floors_and_clips():
    images = np.array([-1, 0, 0.0039, 0.004, 0.5, 0.9999, 1, 2], np.float32)
    expected = [0, 0, 0, 1, 128, 255, 255, 255]
    for values in (images, tf.constant(images)):
        result = to_bytes(values)
        assert tf.is_tensor(result) == tf.is_tensor(values)
        assert result.dtype == np.uint8
        np.testing.assert_array_equal(result, expected)


def test_to_bytes_undoes_dequantize():
    images = _all_values(256, copies=300)
    values = dequantize(images, 256, random.as_key(3))
    np.testing.assert_array_equal(to_bytes(values), images)


@pytest.mark.parametrize("levels", [0, 1, 257])
def test_refuses_levels_out_of_range(levels):
    with pytest.raises(ValueError, match=f"received: {levels}"):
        dequantize(np.zeros([1, 2], np.uint8), levels)


def test_refuses_other_dtypes():
    with pytest.raises(TypeError, match="uint8 or floating .* int32"):
        dequantize(np.zeros([1, 2], np.int32), 256)
