import json

import keras
import numpy as np
import pytest

from clel_tf.metrics import extractors
from clel_tf.models import ResNetEncoder

X = np.random.default_rng(0).random((5, 8, 8, 1), np.float32)


def network(dtype=None):
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(dtype=dtype),
            keras.layers.Dropout(0.5, dtype=dtype),
            keras.layers.BatchNormalization(dtype=dtype),
            keras.layers.Dense(3, dtype=dtype),
        ],
        name="small",
    )


def test_a_model_runs_in_inference():
    model = network()
    _, normalization, dense = (model.layers[i] for i in (1, 2, 3))
    normalization.moving_mean.assign(np.full(64, 0.25))
    normalization.moving_variance.assign(np.full(64, 4.0))
    pixels = (X.reshape(5, 64) - 0.25) / np.sqrt(4.0 + normalization.epsilon)
    expected = pixels @ dense.kernel.numpy()
    found = extractors.KerasFeatures(model)(X)
    np.testing.assert_allclose(found.features, expected, atol=1e-5)
    assert found.logits is None


def test_bytes_and_their_midpoints_have_the_same_features():
    images = (256 * X).astype(np.uint8)
    extractor = extractors.KerasFeatures(network())
    np.testing.assert_array_equal(
        extractor(images).features, extractor((images + 0.5) / 256).features
    )


def test_an_encoder_of_the_library_and_its_identity():
    encoder = ResNetEncoder((8, 8, 1), widths=(4,), depths=(1,), head_width=8)
    extractor = extractors.KerasFeatures(encoder, name="encoder")
    np.testing.assert_allclose(
        extractor(X).features, encoder(X), rtol=1e-5, atol=1e-6
    )
    before = extractor.identity()
    assert json.loads(json.dumps(before)) == before
    assert before["name"] == extractor.name == "encoder"
    assert before["sha256"] == extractors.sha256_of_weights(encoder)
    encoder.weights[0].assign(encoder.weights[0] + 1e-3)
    assert extractor.identity()["sha256"] != before["sha256"]


def test_low_precision_gives_float32():
    found = extractors.KerasFeatures(network("mixed_bfloat16"))(X).features
    assert found.dtype == np.float32 and np.isfinite(found).all()


def test_functions_are_called_with_float32_images():
    def corners(images):
        assert images.dtype == np.float32
        return images[:, 0, 0]

    extractor = extractors.KerasFeatures(corners)
    found = extractor(X.astype(np.float64)).features
    np.testing.assert_array_equal(found, X[:, 0, 0])
    assert extractor.identity() == {"name": "corners", "sha256": None}


def test_models_without_a_training_argument_are_fine():
    class Flat(keras.Model):
        def call(self, images):
            return keras.ops.reshape(images, (-1, 64))

    found = extractors.KerasFeatures(Flat(name="flat"))
    np.testing.assert_array_equal(found(X).features, X.reshape(5, 64))
    assert found.name == "flat"


def test_several_outputs_are_refused():
    extractor = extractors.KerasFeatures(lambda images: (images, images), "two")
    with pytest.raises(TypeError, match="two to give one array.*tuple"):
        extractor(X)


def test_what_is_no_model_is_refused():
    with pytest.raises(TypeError, match="Keras model.*'encoder'"):
        extractors.KerasFeatures("encoder")
