import numpy as np

from clel_tf.metrics import extractors


def test_rows_are_the_flattened_images():
    images = np.random.default_rng(0).random((3, 2, 4, 3))
    found = extractors.Pixels()(images)
    assert found.logits is None
    np.testing.assert_array_equal(found.features[1], images[1].ravel())


def test_bytes_are_midpoints():
    images = np.array([0, 128, 255], np.uint8).reshape(1, 1, 1, 3)
    found = extractors.Pixels()(images).features
    np.testing.assert_array_equal(
        found, [[0.5 / 256, 128.5 / 256, 255.5 / 256]]
    )


def test_identity_is_the_name():
    extractor = extractors.Pixels()
    assert extractor.identity() == {"name": extractor.name, "sha256": None}
