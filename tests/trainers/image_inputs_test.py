import numpy as np
import pytest
from PIL import Image

from clel_tf import data
from clel_tf.trainers.image_inputs import read_images
from clel_tf.trainers.image_inputs import read_mask

SHAPE = (8, 8, 1)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save(path, pixels):
    Image.fromarray(np.asarray(pixels, "uint8")).save(path)


def test_an_image_of_the_models_size_is_read_byte_by_byte(folder):
    pixels = np.arange(0, 256, 4).reshape(8, 8)
    save("a.png", pixels)
    (image,) = read_images(["a.png"], SHAPE)
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image[..., 0], (pixels + 0.5) / 256)


def test_another_size_is_cropped_at_the_centre_and_resized(folder):
    pixels = np.zeros((16, 24))
    pixels[:, 4:12] = 200  # the left half of the middle
    save("a.png", pixels)
    (image,) = read_images(["a.png"], SHAPE)
    columns = image[0, :, 0]
    assert columns[:3].min() > 0.7 and columns[5:].max() < 0.1


def test_channels_are_the_models(folder):
    save("a.png", np.full((8, 8), 100))
    (image,) = read_images(["a.png"], (8, 8, 3))
    np.testing.assert_array_equal(image, np.full((8, 8, 3), 100.5 / 256))


def test_numbers_are_of_test_images(folder):
    images = read_images(["digits#2", "digits#5-7", "digits#0"], SHAPE)
    digits = data.load("digits")
    rows = digits.x_test[[2, 5, 6, 7, 0]].astype("float64")
    np.testing.assert_allclose(images, (rows + 0.5) / 17, rtol=1e-6)


def test_without_test_images_numbers_are_of_training_images(folder):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1), "uint8")
    np.savez("a.npz", x=pixels)
    (image,) = read_images(["npz:a.npz#1"], SHAPE)
    np.testing.assert_array_equal(image, (pixels[1] + 0.5) / 256)


def test_a_file_goes_before_a_data_set(folder):
    Image.fromarray(np.full((8, 8), 7, "uint8")).save("digits#3", format="PNG")
    (image,) = read_images(["digits#3"], SHAPE)
    np.testing.assert_array_equal(image, np.full(SHAPE, 7.5 / 256))


@pytest.mark.parametrize(
    "name, error, told",
    [
        ("no.png", FileNotFoundError, "no file no.png"),
        (".", FileNotFoundError, "no file"),
        ("text.png", ValueError, "readable image.*text.png"),
        ("digits#", ValueError, "SPEC#I.*'digits#'"),
        ("digits#x", ValueError, "SPEC#I"),
        ("digits#-1", ValueError, "SPEC#I"),
        ("digits#1-x", ValueError, "SPEC#I"),
        ("digits#7-5", ValueError, "received: 'digits#7-5'"),
        ("digits#100000", ValueError, "from 0 to 359 of digits"),
        ("digits#0-99999999999999999999", ValueError, "from 0 to 359"),
        ("nothing#0", ValueError, "nothing"),
        ("large.npz#0", ValueError, "large"),
        ("npz:large.npz#0", ValueError, r"\(8, 8, 1\).*\(9, 9, 1\)"),
    ],
)
def test_names_of_no_image_are_told(folder, name, error, told):
    (folder / "text.png").write_text("no image")
    np.savez("large.npz", x=np.zeros((2, 9, 9, 1), "uint8"))
    with pytest.raises(error, match=told):
        read_images([name], SHAPE)


def test_no_names_are_told():
    with pytest.raises(ValueError, match="received none"):
        read_images([], SHAPE)


@pytest.mark.parametrize("name", ["left", "right", "top", "bottom"])
def test_halves_are_where_they_are_called(name):
    mask = read_mask(name, (4, 5, 3))
    rows, columns = np.indices((4, 5))
    expected = {
        "left": columns < 2,
        "right": columns >= 2,
        "top": rows < 2,
        "bottom": rows >= 2,
    }[name]
    np.testing.assert_array_equal(mask, expected[..., np.newaxis])


def test_a_masks_file_is_white_where_it_is(folder):
    expected = np.random.default_rng(0).random((8, 8)) < 0.5
    save("mask.png", np.where(expected, 255, 0))
    mask = read_mask("mask.png", (8, 8, 3))
    np.testing.assert_array_equal(mask, expected[..., np.newaxis])


def test_masks_that_are_none_are_told(folder):
    save("black.png", np.zeros((8, 8)))
    save("white.png", np.full((8, 8), 255))
    for name, told in (
        ("lefft", "left, right, top, bottom, or an image file"),
        ("black.png", "black ones only"),
        ("white.png", "white ones only"),
    ):
        with pytest.raises(ValueError, match=told):
            read_mask(name, SHAPE)
