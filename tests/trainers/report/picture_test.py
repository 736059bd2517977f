import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from clel_tf.trainers.report import picture as report_picture


def file_of(picture, kind):
    head, _, text = picture.source.partition(",")
    assert head == f"data:image/{kind};base64"
    return base64.b64decode(text)


def pixels_of(picture):
    with Image.open(io.BytesIO(file_of(picture, "png"))) as image:
        assert image.size == (picture.width, picture.height)
        return np.asarray(image)


def test_images_are_enlarged_to_48_pixels():
    images = np.array([0.0, 0.5, 1.0, 0.25]).reshape(1, 2, 2, 1)
    picture = report_picture.of_images(images, 1, "an image", "a name")
    expected = np.array([[0, 128], [255, 64]]).repeat(24, 0).repeat(24, 1)
    np.testing.assert_array_equal(pixels_of(picture), expected)
    assert (picture.alt, picture.caption) == ("an image", "a name")


def test_images_may_be_large_and_coloured():
    images = np.random.default_rng(0).random((3, 50, 60, 3))
    pixels = pixels_of(report_picture.of_images(images, 2, ""))
    assert pixels.shape == (101, 121, 3)
    expected = np.floor(256 * images[2].astype("float32"))
    np.testing.assert_array_equal(pixels[51:, :60], expected)


def test_values_that_diverged_are_shown():
    values = np.array([np.nan, -np.inf, np.inf, -0.5, 1.5, 0.5])
    images = values.reshape(6, 1, 1, 1)
    pixels = pixels_of(report_picture.of_images(images, 6, ""))
    np.testing.assert_array_equal(pixels[0, ::49], [0, 0, 255, 0, 255, 128])


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_a_plot_has_its_size_and_no_date(kind):
    pictures = [
        report_picture.of_plot(
            lambda axis: axis.plot([1, 3, 2]), 240, 120, "a line", kind=kind
        )
        for _ in range(2)
    ]
    assert pictures[0] == pictures[1]
    assert pictures[0][1:] == (240, 120, "a line", "")
    if kind == "png":
        file = io.BytesIO(file_of(pictures[0], "png"))
        with Image.open(file) as image:
            assert image.size == (480, 240)
            assert np.ptp(np.asarray(image.convert("L"))) > 100
        return
    text = file_of(pictures[0], "svg+xml").decode()
    # Points, of which 72 are as long as 96 pixels.
    (root,) = re.findall(r"<svg [^>]*>", text)
    assert 'width="180pt"' in root and 'height="90pt"' in root
    assert "<dc:date>" not in text
