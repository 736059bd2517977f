import numpy as np
import pytest
import tensorflow as tf

from clel_tf.data import StreamedImages

_IMAGES = np.random.default_rng(0).integers(0, 256, [9, 4, 5, 3])
_IMAGES = _IMAGES.astype(np.uint8)


def _stream():
    return StreamedImages(lambda rows: _IMAGES[rows], _IMAGES.shape)


@pytest.mark.parametrize(
    "rows",
    [
        3,
        -1,
        np.int32(2),
        slice(2, 7, 2),
        slice(None),
        slice(5, 5),
        [4, 0, -1, 4],
        np.array([], int),
        np.arange(9) % 2 == 0,
        np.array([[1, 2], [3, 4]]),
    ],
)
def test_rows_are_those_of_the_array(rows):
    np.testing.assert_array_equal(_stream()[rows], _IMAGES[rows])


def test_looks_like_the_array():
    stream = _stream()
    assert (stream.shape, stream.ndim) == (_IMAGES.shape, 4)
    assert (stream.dtype, len(stream)) == (np.uint8, 9)


@pytest.mark.parametrize("rows", [9, -10, [0, 9], [0.5], "a"])
def test_refuses_the_rows_that_arrays_refuse(rows):
    with pytest.raises(IndexError):
        _stream()[rows]


def test_refuses_indices_of_pixels():
    with pytest.raises(TypeError, match=r"rows only; received: \(.*0\)"):
        _stream()[..., 0]


@pytest.mark.parametrize("convert", [np.asarray, tf.convert_to_tensor, np.mean])
def test_refuses_to_become_an_array_by_accident(convert):
    with pytest.raises(TypeError, match="in memory; received: .* 540 bytes"):
        convert(_stream())


@pytest.mark.parametrize("rows", [slice(1, 8, 3), [5, -1, 2, 5]])
def test_select_reads_nothing_before_it_is_asked(rows):
    reads = []
    stream = StreamedImages(
        lambda rows: (reads.append(rows), _IMAGES[rows])[1], _IMAGES.shape
    )
    chosen = stream.select(rows)
    assert chosen.shape == _IMAGES[rows].shape and not reads
    np.testing.assert_array_equal(chosen[:], _IMAGES[rows])
    np.testing.assert_array_equal(chosen[[1, 0]], _IMAGES[rows][[1, 0]])


def test_gathers_in_a_graph_with_a_static_shape():
    rows = tf.data.Dataset.from_tensors(tf.constant([8, 0, 3]))
    batches = rows.map(_stream().gather)
    assert batches.element_spec == tf.TensorSpec([3, 4, 5, 3], tf.uint8)
    batch = next(batches.as_numpy_iterator())
    np.testing.assert_array_equal(batch, _IMAGES[[8, 0, 3]])
