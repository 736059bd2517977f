import numpy as np
import pytest
import tensorflow as tf

from clel_tf.data import StreamedImages
from clel_tf.metrics import extractors

IMAGES = np.random.default_rng(0).integers(0, 256, [10, 2, 3, 1], np.uint8)
FLOATS = (IMAGES.reshape(10, 6) + 0.5) / 256


class Recorder:
    """Gives pixels and logits; keeps how many images came at a time."""

    name = "recorder"

    def __init__(self):
        self.sizes = []

    def __call__(self, images):
        self.sizes.append(len(images))
        features = extractors.Pixels()(images).features
        return extractors.Features(features, -features[:, :2])


def test_all_images_in_order_and_few_at_a_time():
    recorder, done = Recorder(), []
    found = extractors.extract(recorder, IMAGES, 4, progress=done.append)
    np.testing.assert_array_equal(found.features, FLOATS)
    np.testing.assert_array_equal(found.logits, -FLOATS[:, :2])
    assert recorder.sizes == [4, 4, 2] and done == [4, 8, 10]


def test_streamed_images_are_read_a_batch_at_a_time():
    reads = []
    stream = StreamedImages(
        lambda rows: (reads.append(len(rows)), IMAGES[rows])[1], IMAGES.shape
    )
    found = extractors.extract(extractors.Pixels(), stream, batch_size=3)
    np.testing.assert_array_equal(found.features, FLOATS)
    assert found.logits is None
    assert reads == [3, 3, 3, 1]


@pytest.mark.parametrize(
    "parts",
    [
        lambda: (IMAGES[i : i + 7] for i in (0, 7)),
        lambda: [
            IMAGES[:7],
            StreamedImages(lambda r: IMAGES[7:][r], (3, 2, 3, 1)),
        ],
        lambda: tf.data.Dataset.from_tensor_slices(IMAGES).batch(7),
        lambda: [IMAGES[:7] / 1.0 / 256 + 0.5 / 256, IMAGES[7:]],
    ],
)
def test_iterables_are_of_batches_of_any_size(parts):
    recorder = Recorder()
    found = extractors.extract(recorder, parts(), batch_size=5)
    np.testing.assert_array_equal(found.features, FLOATS)
    assert recorder.sizes == [5, 2, 3]


@pytest.mark.parametrize("images", [[], IMAGES[:0]])
def test_no_images_are_an_error(images):
    with pytest.raises(ValueError, match="images; received none"):
        extractors.extract(extractors.Pixels(), images)


@pytest.mark.parametrize("batch_size", [0, -3])
def test_batches_hold_images(batch_size):
    with pytest.raises(ValueError, match=f"batch_size.*{batch_size}"):
        extractors.extract(extractors.Pixels(), IMAGES, batch_size)


@pytest.mark.parametrize(
    "features, logits, message",
    [
        (np.full([10, 2], np.nan), None, "finite features of wrong.*20"),
        (np.zeros([10, 2]), np.full([10, 2], np.inf), "finite logits of wrong"),
        (np.zeros([9, 2]), None, "features of wrong of 10 images.*9 rows"),
        (np.zeros([10, 2]), np.zeros([1, 2]), "logits of wrong of 10.*1 rows"),
        (np.zeros([10, 2, 2]), None, r"features of wrong of shape \[n, d\]"),
    ],
)
def test_wrong_values_are_named(features, logits, message):
    def wrong(images):
        return extractors.Features(features, logits)

    wrong.name = "wrong"
    with pytest.raises(ValueError, match=message):
        extractors.extract(wrong, IMAGES)
