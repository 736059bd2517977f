import os

import numpy as np
import pytest
from PIL import Image

from clel_tf.images import make_grid
from clel_tf.images import save_grid
from clel_tf.images import save_rows

GREY = 128


def read(path):
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture)


def test_grid_by_hand():
    images = np.arange(1, 13, dtype=np.uint8).reshape(3, 2, 2, 1)
    expected = [
        [1, 2, GREY, 5, 6],
        [3, 4, GREY, 7, 8],
        [GREY, GREY, GREY, GREY, GREY],
        [9, 10, GREY, GREY, GREY],
        [11, 12, GREY, GREY, GREY],
    ]
    grid = make_grid(images, 2)
    assert grid.dtype == np.uint8
    np.testing.assert_array_equal(grid[..., 0], expected)


def test_grid_of_oblong_colour_images():
    images = np.random.default_rng(0).integers(0, 256, (6, 2, 5, 3), np.uint8)
    grid = make_grid(images, columns=3)
    assert grid.shape == (5, 17, 3)
    np.testing.assert_array_equal(grid[3:5, 6:11], images[4])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_become_bytes_by_floor(dtype):
    values = np.array([0.0, 1 / 256, 0.5, 255 / 256, 1.0], dtype)
    grid = make_grid(values.reshape(1, 1, 5, 1), columns=1)
    np.testing.assert_array_equal(grid[0, :, 0], [0, 1, 128, 255, 255])


def test_digits_are_enlarged_to_48_pixels(tmp_path):
    images = np.random.default_rng(0).random((5, 8, 8, 1), np.float32)
    save_grid(images, tmp_path / "grid.png")
    picture = read(tmp_path / "grid.png")
    assert picture.shape == (2 * 48 + 1, 3 * 48 + 2)
    second = picture[:48, 49:97]
    np.testing.assert_array_equal(
        second[::6, ::6], make_grid(images[1:2], 1)[..., 0]
    )
    np.testing.assert_array_equal(
        second, second[::6, ::6].repeat(6, axis=0).repeat(6, axis=1)
    )
    assert (picture[48] == GREY).all() and (picture[:, 48] == GREY).all()


@pytest.mark.parametrize("side, shown", [(7, 49), (32, 64), (64, 64)])
def test_default_scale_is_the_least_that_suffices(tmp_path, side, shown):
    path = tmp_path / "grid.png"
    save_grid(np.zeros([1, side, side, 3]), path)
    assert read(path).shape == (shown, shown, 3)


def test_columns_and_scale_are_obeyed(tmp_path):
    path = str(tmp_path / "grid.png")
    save_grid(np.zeros([4, 3, 2, 3], np.uint8), path, columns=4, scale=2)
    assert read(path).shape == (6, 4 * 4 + 3, 3)


def test_replaces_a_file_and_leaves_no_other(tmp_path):
    path = tmp_path / "grid.png"
    path.write_bytes(b"old")
    with path.open("rb") as reader:
        save_grid(np.ones([1, 2, 2, 1]), path, scale=1)
        assert reader.read() == b"old"  # not written over under a reader
    np.testing.assert_array_equal(read(path), np.full([2, 2], 255))
    assert os.listdir(tmp_path) == ["grid.png"]


def test_failure_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "grid.png"
    path.write_bytes(b"old")

    def save_half(self, file, format):
        file.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", save_half)
    with pytest.raises(OSError, match="disk full"):
        save_grid(np.ones([1, 2, 2, 1]), path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["grid.png"]


@pytest.mark.parametrize(
    "images, error, message",
    [
        (np.zeros([2, 8, 8]), ValueError, r"received: shape \(2, 8, 8\)"),
        (np.zeros([0, 8, 8, 1]), ValueError, "n >= 1"),
        (np.zeros([2, 8, 8, 2]), ValueError, "C 1 or 3"),
        (np.full([2, 8, 8, 1], 1.5), ValueError, r"in \[0, 1\].*1.5"),
        (np.full([2, 8, 8, 1], -0.5), ValueError, r"in \[0, 1\].*-0.5"),
        (np.full([2, 8, 8, 1], np.nan), ValueError, r"in \[0, 1\].*nan"),
        (np.zeros([2, 8, 8, 1], np.int32), TypeError, "uint8.*int32"),
    ],
)
def test_rejects_images(tmp_path, images, error, message):
    with pytest.raises(error, match=message):
        make_grid(images, 2)
    with pytest.raises(error, match=message):
        save_grid(images, tmp_path / "grid.png")
    assert not os.listdir(tmp_path)


def test_rejects_arguments(tmp_path):
    images = np.zeros([2, 8, 8, 1])
    with pytest.raises(ValueError, match="columns an int >= 1; received: 0"):
        make_grid(images, 0)
    with pytest.raises(ValueError, match="scale an int >= 1; received: 1.5"):
        save_grid(images, tmp_path / "grid.png", scale=1.5)
    with pytest.raises(ValueError, match="ending in .png; received"):
        save_grid(images, tmp_path / "grid.jpg")


def test_rows_have_their_images_beside_their_captions(tmp_path):
    path = tmp_path / "rows.png"
    rows = np.random.default_rng(0).random((2, 3, 8, 8, 1))
    save_rows([("one", rows[0]), ("two", rows[1, :2])], path)
    picture = read(path)
    images, margin = picture[:, -146:], picture[:, :-146]
    assert picture.shape[0] == 2 * 48 + 1
    for i, n in enumerate([3, 2]):
        strip = make_grid(rows[i, :n].repeat(6, 1).repeat(6, 2), 3)
        top = 49 * i
        np.testing.assert_array_equal(
            images[top : top + 48], np.broadcast_to(strip, (48, 146, 3))
        )
        # Dark letters on white, in the row's own half of the margin.
        assert margin[top : top + 48].min() < 64
    assert margin[48].min() == 255 and margin.shape[1] < 60


def test_rows_keep_colours(tmp_path):
    path = tmp_path / "rows.png"
    images = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), np.uint8)
    save_rows([("", images)], path, scale=1)
    np.testing.assert_array_equal(read(path)[:, -9:], make_grid(images, 2))


@pytest.mark.parametrize("caption", ["word " * 40, "w" * 200, "a\nb\n" * 20])
def test_long_captions_take_the_lines_that_fit(tmp_path, caption):
    image = np.zeros([1, 8, 8, 1])
    widths = {}
    for name, text in (("long", caption), ("short", "x")):
        save_rows([(text, image)] * 2, tmp_path / f"{name}.png")
        widths[name] = read(tmp_path / f"{name}.png").shape[1]
    picture = read(tmp_path / "long.png")
    assert widths["short"] < widths["long"] < 48 + 400
    # Nothing is written over the line between two rows.
    assert picture[48, :-48].min() == 255


def test_rows_that_do_not_fit_are_told(tmp_path):
    path = tmp_path / "rows.png"
    with pytest.raises(ValueError, match="rows of images; received none"):
        save_rows([], path)
    with pytest.raises(ValueError, match="n >= 1"):
        save_rows([("a", np.zeros([0, 8, 8, 1]))], path)
    with pytest.raises(ValueError, match="ending in .png"):
        save_rows([("a", np.zeros([1, 8, 8, 1]))], tmp_path / "rows.jpg")
    assert not os.listdir(tmp_path)
