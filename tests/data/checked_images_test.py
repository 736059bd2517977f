import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from clel_tf.data import Faults
from clel_tf.data import checked_images

SHAPE = (2, 3, 1)


def images(dtype="float32"):
    """Ten images, all of whose values tell their place."""
    values = np.arange(10).reshape(10, 1, 1, 1) / (20 if "f" in dtype else 1)
    return np.broadcast_to(values, (10, *SHAPE)).astype(dtype)


def stream(elements):
    """A data set of images of any shape."""
    return tf.data.Dataset.from_generator(
        lambda: iter(elements),
        output_signature=tf.TensorSpec(None, elements[0].dtype),
    )


def harmed(value, place=4):
    elements = list(images())
    elements[place] = elements[place].copy()
    elements[place][1, 2] = value
    return elements


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.001, 1.001])
def test_values_out_of_range_are_named_by_their_place(value):
    checked = checked_images(stream(harmed(value)), SHAPE)
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match=r"Expected pixels in \[0, 1\]; received: 1 that",
    ):
        list(checked)
    faults = Faults("raise")
    checked = checked_images(stream(harmed(value)), SHAPE, faults=faults)
    read = iter(checked)
    for _ in range(4):
        next(read)
    with pytest.raises(tf.errors.InvalidArgumentError):
        next(read)
    assert list(faults.found) == ["image 4"]


def test_bounds_themselves_are_in_range():
    elements = [np.zeros(SHAPE, "float32"), np.ones(SHAPE, "float32")]
    assert len(list(checked_images(stream(elements), SHAPE))) == 2


def test_integers_are_held_against_the_levels():
    faults, elements = Faults("skip"), stream(list(images("uint8")))
    checked = checked_images(elements, SHAPE, levels=9, faults=faults)
    assert [int(x[0, 0, 0]) for x in checked] == list(range(9))
    assert "[0, 9); received: 6 that" in faults.found["image 9"]


@pytest.mark.parametrize(
    "shape", [(2, 3, 3), (3, 2, 1), (2, 3), (1, 2, 3, 1), ()]
)
def test_another_shape_in_the_middle_is_skipped(shape):
    elements = list(images())
    elements[2] = np.zeros(shape, "float32")
    faults = Faults("skip")
    checked = checked_images(stream(elements), SHAPE, faults=faults)
    kept = np.stack([x.numpy() for x in checked])
    np.testing.assert_array_equal(kept, np.delete(images(), 2, axis=0))
    expected = f"Expected an image of shape {SHAPE}; received: {shape}."
    assert faults.found == {"image 2": expected}
    assert checked.element_spec.shape == SHAPE


def test_what_comes_with_an_image_goes_with_it():
    pairs = tf.data.Dataset.zip(
        stream(harmed(np.nan)), tf.data.Dataset.range(10)
    )
    checked = checked_images(pairs, SHAPE, faults=Faults("skip"))
    for image, label in checked:
        assert image[0, 0, 0].numpy() == pytest.approx(int(label) / 20)
    assert [int(label) for _, label in checked] == [0, 1, 2, 3, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("policy, steps", [("raise", 1), ("skip", 3)])
def test_fit_ends_at_a_fault_or_goes_on_without_it(policy, steps):
    model = keras.Sequential(
        [keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(1)]
    )
    model.compile(loss="mse")
    pairs = tf.data.Dataset.zip(
        stream(harmed(np.nan)), tf.data.Dataset.from_tensors([0.0]).repeat()
    )
    faults, seen = Faults(policy), []
    batches = checked_images(pairs, SHAPE, faults=faults).batch(3)
    count = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(logs["loss"])
    )
    fails = pytest.raises(tf.errors.InvalidArgumentError, match="received: 1")
    with fails if policy == "raise" else contextlib.nullcontext():
        model.fit(batches, callbacks=[count], verbose=0)
    assert len(seen) == steps and np.isfinite(seen).all()


def test_other_kinds_of_numbers_are_refused():
    with pytest.raises(TypeError, match="int64"):
        checked_images(tf.data.Dataset.range(3), SHAPE)
