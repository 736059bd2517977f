import numpy as np
import pytest

from clel_tf.trainers.report import images as report_images


@pytest.mark.parametrize(
    "shape,sizes",
    [
        # Digits, six times as large: 10 of 49 pixels in a row, 5 rows of 50.
        ((250, 8, 8, 1), {50: (489, 244)}),
        ((3, 8, 8, 1), {2: (97, 48), 1: (48, 48)}),
        # Twice as large, 7 in a row; 2**18 values are 85 such images.
        ((250, 32, 32, 3), {43: (454, 454), 42: (454, 389)}),
        ((2, 1000, 1000, 3), {1: (1000, 1000)}),
    ],
)
def test_as_many_samples_are_shown_as_a_page_should_hold(shape, sizes):
    pictures = report_images.samples({"samples": np.zeros(shape, "float32")})
    assert {p.alt: (p.width, p.height) for p in pictures} == {
        f"{count} samples": size for count, size in sizes.items()
    }


def test_samples_are_shown_in_their_order():
    images = np.random.default_rng(0).random((2, 8, 8, 1))
    drawn = report_images.samples({"samples": images})
    alone = [report_images.samples({"samples": x[None]})[0] for x in images]
    assert [x.source for x in drawn] == [x.source for x in alone]


def test_samples_stand_beside_their_neighbours():
    images = np.random.default_rng(0).random((3, 4, 8, 8, 1))
    drawn = report_images.neighbours(
        {
            "neighbours/samples": images[:, 0],
            "neighbours/images": images[:, 1:],
            "neighbours/distances": np.arange(9.0).reshape(3, 3) / 8,
        }
    )
    captions = [[x.caption for x in one.nearest] for one in drawn]
    assert captions == [
        ["0.00", "0.125", "0.250"],
        ["0.375", "0.500", "0.625"],
        ["0.750", "0.875", "1.00"],
    ]
    sources = {x.source for one in drawn for x in (one.sample, *one.nearest)}
    assert len(sources) == 12
    (again,) = report_images.samples({"samples": images[1, :1]})
    assert drawn[1].sample.source == again.source


def test_ten_images_of_a_set_are_shown():
    images = np.random.default_rng(0).random((12, 8, 8, 1))
    arrays = {"images/a": images, "images/b": images[:0], "images/c": images}
    drawn = report_images.examples(["b", "a", "d"], arrays)
    assert [picture.caption for picture in drawn] == ["a"]
    assert drawn[0].width == 10 * 49 - 1 and drawn[0].height == 48


def test_nothing_to_show():
    assert report_images.samples({}) == []
    assert report_images.samples({"samples": np.zeros([0, 8, 8, 1])}) == []
    assert report_images.neighbours({}) == []
    assert report_images.examples(["a"], {}) == []
