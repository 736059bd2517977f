import numpy as np
import pytest
import tensorflow as tf

from clel_tf.data import ImageData
from clel_tf.data import StreamedImages


def _numbered(count, with_labels=True):
    images = np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1)
    images = np.tile(images, [1, 2, 3, 1])
    labels = np.arange(count) + 100 if with_labels else None
    return ImageData("numbered", images, labels)


def _indices(data, num_batches, **kwargs):
    batches = data.train(**kwargs).take(num_batches)
    return np.array([b[:, 0, 0, 0] for b in batches.as_numpy_iterator()])


def test_every_epoch_holds_every_image_once():
    order = _indices(_numbered(7), 14, batch_size=3, seed=0).ravel()
    for epoch in order.reshape(6, 7):
        np.testing.assert_array_equal(np.sort(epoch), np.arange(7))


def test_epochs_have_different_orders():
    epochs = _indices(_numbered(50), 3, batch_size=50, seed=0)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert not any((epoch == np.arange(50)).all() for epoch in epochs)


def test_orders_are_uniform():
    firsts = _indices(_numbered(4), 1000, batch_size=4, seed=0)
    counts = np.zeros([4, 4], int)
    for position in range(4):
        counts[position] = np.bincount(firsts[:, position], minlength=4)
    # Expected 250 with a standard deviation of 13.7: five of them.
    assert np.abs(counts - 250).max() < 69


@pytest.mark.parametrize("batch_size", [1, 3, 7, 20])
@pytest.mark.parametrize("start", [1, 2, 5, 9])
def test_resuming_gives_the_batches_of_an_uninterrupted_run(batch_size, start):
    data = _numbered(7)
    whole = _indices(data, 12, batch_size=batch_size, seed=3)
    resumed = _indices(
        data, 12 - start, batch_size=batch_size, seed=3, start_step=start
    )
    np.testing.assert_array_equal(resumed, whole[start:])


def test_resumes_far_into_training():
    data = _numbered(7)
    start = 7 * 2**40  # an epoch's first step, above 2**31
    order = _indices(data, 7, batch_size=1, seed=3, start_step=start).ravel()
    np.testing.assert_array_equal(np.sort(order), np.arange(7))


def test_order_does_not_depend_on_the_batch_size():
    data = _numbered(7)
    small = _indices(data, 21, batch_size=1, seed=3).ravel()
    large = _indices(data, 3, batch_size=7, seed=3).ravel()
    np.testing.assert_array_equal(small, large)


def test_order_is_repeatable_and_seeded():
    data = _numbered(50)
    first = _indices(data, 4, batch_size=16, seed=1)
    tf.random.set_seed(123)
    again = _indices(data, 4, batch_size=16, seed=1)
    other = _indices(data, 4, batch_size=16, seed=2)
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.5


def test_labels_belong_to_their_images():
    data = _numbered(7)
    batches = data.train(batch_size=3, seed=0, with_labels=True)
    assert batches.element_spec == (
        tf.TensorSpec([3, 2, 3, 1], tf.uint8),
        tf.TensorSpec([3], tf.int64),
    )
    for images, labels in batches.take(5).as_numpy_iterator():
        np.testing.assert_array_equal(images[:, 0, 0, 0] + 100, labels)


def test_labels_do_not_change_the_order():
    data = _numbered(7)
    pairs = data.train(batch_size=3, seed=0, with_labels=True).take(5)
    labels = np.array([y for _, y in pairs.as_numpy_iterator()])
    plain = _indices(data, 5, batch_size=3, seed=0)
    np.testing.assert_array_equal(plain + 100, labels)


def test_pipeline_is_endless_and_static():
    batches = _numbered(7).train(batch_size=3, seed=0)
    assert batches.element_spec == tf.TensorSpec([3, 2, 3, 1], tf.uint8)
    assert batches.cardinality() == tf.data.INFINITE_CARDINALITY


def test_moments_are_those_of_the_midpoints():
    images = np.random.default_rng(0).integers(0, 17, [6, 5, 4, 3])
    data = ImageData("random", images.astype(np.uint8), levels=17)
    values = (images + 0.5) / 17
    np.testing.assert_allclose(data.mean, values.mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(data.std, values.std((0, 1, 2)), rtol=1e-12)
    assert all(type(value) is float for value in data.mean + data.std)


def test_moments_count_every_chunk():
    images = np.zeros([5000, 16, 16, 1], np.uint8)  # more than a chunk
    images[2500:] = 255
    data = ImageData("halves", images)
    assert data.mean == pytest.approx((0.5,), abs=1e-12)
    assert data.std == pytest.approx((127.5 / 256,), abs=1e-12)


@pytest.mark.parametrize("n", [1, 3, 5, 6, 7])
def test_take_spaces_images_evenly(n):
    data = _numbered(7)
    taken = data.take(n)
    rows = [int(i * 7 / n + 1e-9) for i in range(n)]
    assert taken.x_train[:, 0, 0, 0].tolist() == rows
    assert (taken.y_train - 100).tolist() == rows
    assert len(data.x_train) == 7


def test_take_meets_every_class_of_ordered_images():
    labels = np.repeat(np.arange(10), 30)
    data = ImageData("ordered", np.zeros([300, 1, 1, 1], np.uint8), labels)
    assert np.bincount(data.take(50).y_train).tolist() == [5] * 10


def test_take_keeps_the_rest():
    images = np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1)
    test, names = (images[:2], np.array([1, 0])), ("ant", "bee")
    data = ImageData("six", images, None, *test, 9, names).take(2)
    assert (data.spec, data.levels, data.class_names) == ("six", 9, names)
    assert data.y_train is None
    assert (data.x_test, data.y_test) == test


@pytest.mark.parametrize(
    "n, error, match",
    [
        (0, ValueError, r"\[1, 7\].*numbered; received: 0"),
        (8, ValueError, "received: 8"),
        (2.0, TypeError, "float"),
    ],
)
def test_take_refuses_other_numbers(n, error, match):
    with pytest.raises(error, match=match):
        _numbered(7).take(n)


def test_checks_streamed_images_as_arrays():
    stream = StreamedImages(lambda rows: _IMAGES[rows], _IMAGES.shape)
    ImageData("set", stream, _LABELS, stream)
    with pytest.raises(ValueError, match="levels=17; received: 20"):
        ImageData("set", stream, levels=17)
    with pytest.raises(ValueError, match=r"y_train .* \(3,\)"):
        ImageData("set", stream, _LABELS[:3])


def test_is_frozen():
    with pytest.raises(AttributeError):
        _numbered(7).x_train = None


@pytest.mark.parametrize(
    "kwargs, error, match",
    [
        ({"batch_size": 0}, ValueError, "batch_size .* received: 0"),
        ({"batch_size": 2.0}, TypeError, "float"),
        ({"start_step": -1}, ValueError, "start_step .* received: -1"),
        ({"seed": None}, TypeError, "NoneType"),
        ({"with_labels": True}, ValueError, "labels .* numbered without"),
    ],
)
def test_refuses_bad_pipelines(kwargs, error, match):
    data = _numbered(7, with_labels=False)
    with pytest.raises(error, match=match):
        data.train(**({"batch_size": 2, "seed": 0} | kwargs))


_IMAGES = np.full([4, 2, 2, 1], 20, np.uint8)
_LABELS = np.zeros(4, np.int64)


@pytest.mark.parametrize(
    "change, error, match",
    [
        ({"x_train": _IMAGES / 255}, TypeError, "uint8 .* float64"),
        ({"x_train": [1, 2]}, TypeError, "uint8 .* list"),
        ({"x_train": _IMAGES[..., 0]}, ValueError, r"\(4, 2, 2\)"),
        ({"x_train": _IMAGES[:0]}, ValueError, r"\(0, 2, 2, 1\)"),
        ({"x_train": np.zeros([4, 2, 2, 2], np.uint8)}, ValueError, "2 chann"),
        ({"levels": 17}, ValueError, "levels=17; received: 20"),
        ({"levels": 257}, ValueError, "levels .* 257"),
        ({"y_train": _LABELS[:3]}, ValueError, r"y_train .* \(3,\)"),
        ({"y_train": _LABELS - 1}, ValueError, "y_train .* -1"),
        ({"y_train": _LABELS.astype(np.int32)}, TypeError, "y_train .* int32"),
        ({"x_test": _IMAGES[:, :1]}, ValueError, r"x_test .* \(1, 2, 1\)"),
        ({"y_test": _LABELS}, ValueError, "y_test .* shape None"),
        ({"x_test": _IMAGES[:2], "y_test": _LABELS}, ValueError, "y_test"),
    ],
)
def test_refuses_bad_arrays(change, error, match):
    good = {"spec": "set", "x_train": _IMAGES, "y_train": _LABELS}
    ImageData(**good)
    with pytest.raises(error, match=match):
        ImageData(**(good | change))
