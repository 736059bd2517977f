import dataclasses

import numpy as np
import pytest

from clel_tf.data import ImageData
from clel_tf.data import StreamedImages
from clel_tf.data import load
from clel_tf.data import select_classes

DIGITS = load("digits")


@pytest.mark.parametrize("without", [False, True])
def test_takes_the_images_of_classes_of_each_part(without):
    data = select_classes(DIGITS, [3, 5], without)
    for part in ("train", "test"):
        labels = getattr(DIGITS, f"y_{part}")
        chosen = [(label in (3, 5)) != without for label in labels]
        for name in (f"x_{part}", f"y_{part}"):
            expected = getattr(DIGITS, name)[chosen]
            np.testing.assert_array_equal(getattr(data, name), expected)
    assert data.spec == ("without" if without else "only") + ":3,5:digits"
    assert data.class_names == DIGITS.class_names
    assert data.levels == DIGITS.levels


def test_selections_follow_each_other():
    few = select_classes(DIGITS, range(5))
    data = select_classes(few, [1, 3], without=True)
    assert data.spec == "without:1,3:only:0,1,2,3,4:digits"
    assert set(data.y_train) == set(data.y_test) == {0, 2, 4}


def parts(y_train, y_test=None):
    def numbered(labels):
        shape = (-1, 1, 1, 1)
        return np.arange(len(labels), dtype=np.uint8).reshape(shape)

    return {
        "x_train": numbered(y_train),
        "y_train": np.array(y_train),
        "x_test": None if y_test is None else numbered(y_test),
        "y_test": None if y_test is None else np.array(y_test),
    }


def test_leaves_out_a_test_part_without_the_classes():
    data = ImageData("four", **parts([0, 1, 0], [1]))
    selected = select_classes(data, [0])
    assert selected.x_test is None and selected.y_test is None
    np.testing.assert_array_equal(selected.x_train.ravel(), [0, 2])


def test_streams_what_is_streamed_and_reads_nothing():
    reads = []
    data = ImageData("streamed", **parts([0, 7, 0, 7, 7]))
    images = StreamedImages(
        lambda rows: (reads.append(rows), data.x_train[rows])[1], (5, 1, 1, 1)
    )
    selected = select_classes(dataclasses.replace(data, x_train=images), [7])
    assert isinstance(selected.x_train, StreamedImages) and not reads
    np.testing.assert_array_equal(selected.x_train[:].ravel(), [1, 3, 4])


@pytest.mark.parametrize("without", [False, True])
@pytest.mark.parametrize(
    "classes, missing", [([3, 12], "[12]"), ([-1], "[-1]"), ([], "[]")]
)
def test_rejects_classes_that_do_not_occur(classes, missing, without):
    with pytest.raises(ValueError, match="that occur in digits") as error:
        select_classes(DIGITS, classes, without)
    assert f"received: {classes}, of which {missing}" in str(error.value)


def test_rejects_classes_that_are_no_integers():
    with pytest.raises(TypeError):
        select_classes(DIGITS, [3.0])


@pytest.mark.parametrize("missing", ["y_train", "y_test"])
def test_rejects_images_without_labels(missing):
    data = dataclasses.replace(DIGITS, **{missing: None})
    with pytest.raises(ValueError, match="images with labels.*digits"):
        select_classes(data, [3])


@pytest.mark.parametrize(
    "classes, without, spec",
    [([7], False, "only:7:five"), ([0, 1], True, "without:0,1:five")],
)
def test_rejects_to_leave_no_training_image(classes, without, spec):
    data = ImageData("five", **parts([0, 1, 1], [7, 0]))
    with pytest.raises(ValueError, match=f"left in {spec}; .* none of 3"):
        select_classes(data, classes, without)
