import keras
import numpy as np
import pytest

from clel_tf.metrics import extractors

ROW = np.arange(4.0).reshape(1, 4)


def test_equal_arrays_have_equal_hashes():
    turned = np.asfortranarray(ROW.reshape(2, 2))
    expected = extractors.sha256_of_arrays([ROW.reshape(2, 2), ROW])
    assert extractors.sha256_of_arrays([turned, ROW.copy()]) == expected
    assert len(expected) == 64


@pytest.mark.parametrize(
    "arrays",
    [
        [ROW],
        [ROW, ROW[0]],
        [ROW, ROW.astype(np.float32)],
        [ROW, ROW[:, ::-1]],
        [ROW, ROW, ROW],
        [ROW, np.nextafter(ROW, 9.0)],
        [ROW.astype(np.int64), ROW],
    ],
)
def test_values_shapes_dtypes_and_order_matter(arrays):
    expected = extractors.sha256_of_arrays([ROW, ROW])
    assert extractors.sha256_of_arrays(arrays) != expected


def test_weights_are_those_of_all_networks_in_order():
    dense = [keras.layers.Dense(2) for _ in range(2)]
    for layer in dense:
        layer.build((None, 3))
    weights = [weight.numpy() for layer in dense for weight in layer.weights]
    hashed = extractors.sha256_of_weights(*dense)
    assert hashed == extractors.sha256_of_arrays(weights)
    assert hashed != extractors.sha256_of_weights(*dense[::-1])
    dense[1].bias.assign([0.0, 1e-6])
    assert hashed != extractors.sha256_of_weights(*dense)
