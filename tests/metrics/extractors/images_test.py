import numpy as np
import pytest

from clel_tf.metrics.extractors.images import as_bytes
from clel_tf.metrics.extractors.images import as_floats

BYTES = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)


def test_bytes_are_the_midpoints_of_their_intervals_and_back():
    floats = as_floats(BYTES)
    assert floats.dtype == np.float32
    np.testing.assert_array_equal(floats, (BYTES + np.float64(0.5)) / 256)
    np.testing.assert_array_equal(as_bytes(floats), BYTES)


def test_floats_become_bytes_by_floor_and_never_256():
    edges = np.array([0.0, 0.99, 1.0, 1.01, 255.0, 255.99, 256.0]) / 256
    expected = [0, 0, 1, 1, 255, 255, 255]
    for dtype in (np.float32, np.float64):
        found = as_bytes(edges.astype(dtype).reshape(-1, 1, 1, 1))
        assert found.dtype == np.uint8 and found.ravel().tolist() == expected


def test_what_is_right_already_is_not_copied():
    floats = np.full((2, 3, 4, 1), 1 / 3)
    assert as_floats(floats) is floats
    assert as_bytes(BYTES) is BYTES


@pytest.mark.parametrize(
    "images, error, message",
    [
        (np.zeros([4, 8, 8]), ValueError, r"\[n, H, W, C\].*\(4, 8, 8\)"),
        (np.zeros([0, 8, 8, 1]), ValueError, "n >= 1"),
        (np.zeros([4, 8, 8, 1], np.int64), TypeError, "uint8 or floating"),
        (np.full([4, 8, 8, 1], 1.01), ValueError, r"in \[0, 1\].*1.01"),
        (np.full([4, 8, 8, 1], -0.01), ValueError, r"in \[0, 1\].*-0.01"),
        (np.full([4, 8, 8, 1], np.nan), ValueError, r"in \[0, 1\].*nan"),
    ],
)
@pytest.mark.parametrize("convert", [as_floats, as_bytes])
def test_other_images_are_refused(convert, images, error, message):
    with pytest.raises(error, match=message):
        convert(images)


def test_another_shape_than_asked_for_is_refused():
    with pytest.raises(ValueError, match=r"\(n, 8, 8, 1\).*\(1, 16, 16, 1\)"):
        as_floats(BYTES, (8, 8, 1))
