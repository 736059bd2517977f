import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from clel_tf.data import image_file

_PIXELS = np.random.default_rng(0).integers(0, 256, [4, 6, 3]).astype(np.uint8)


def _declare_size(path, width, height):
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)


@pytest.mark.parametrize("suffix", [".png", ".bmp"])
def test_decodes_exactly(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    Image.fromarray(_PIXELS).save(path)
    assert image_file.read_header(path) == ((4, 6), False)
    np.testing.assert_array_equal(image_file.decode(path, (4, 6), 3), _PIXELS)


@pytest.mark.parametrize("suffix", image_file.SUFFIXES)
def test_decodes_every_format(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    Image.new("RGB", (6, 4), (250, 130, 10)).save(path)
    pixels = image_file.decode(path, (4, 6), 3).astype(int)
    assert np.abs(pixels - [250, 130, 10]).max() <= 4  # JPEG and WebP are lossy


@pytest.mark.parametrize(
    "mode, is_gray",
    [("1", True), ("L", True), ("LA", True), ("P", False), ("RGBA", False)],
)
def test_knows_gray_from_colour(tmp_path, mode, is_gray):
    path = tmp_path / "a.png"
    Image.fromarray(_PIXELS).convert(mode).save(path)
    assert image_file.read_header(path) == ((4, 6), is_gray)


def test_decodes_gray_to_one_or_three_channels(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(_PIXELS[..., 0]).save(path)
    gray = image_file.decode(path, (4, 6), 1)
    np.testing.assert_array_equal(gray, _PIXELS[..., :1])
    colour = image_file.decode(path, (4, 6), 3)
    np.testing.assert_array_equal(colour, np.repeat(gray, 3, axis=-1))


def test_fit_crops_the_centre_and_keeps_the_aspect_ratio():
    ramp = np.tile(np.arange(0, 200, 10, dtype=np.uint8), [8, 1])
    fitted = image_file.fit(Image.fromarray(ramp), (4, 4))[..., 0]
    # Columns 6 to 13, two by two: a symmetric filter keeps a ramp a ramp.
    np.testing.assert_array_equal(fitted, [[65, 85, 105, 125]] * 4)


def test_fit_cuts_height_too():
    ramp = np.tile(np.arange(0, 200, 10, dtype=np.uint8), [8, 1])
    fitted = image_file.fit(Image.fromarray(ramp.T), (2, 4))[..., 0]
    np.testing.assert_array_equal(fitted, [[85] * 4, [105] * 4])


def test_fit_averages_when_it_shrinks():
    pixels = np.tile(np.array([[0, 255], [255, 0]], np.uint8), [32, 32])
    fitted = image_file.fit(Image.fromarray(pixels), (8, 8)).astype(int)
    assert fitted.shape == (8, 8, 1)
    assert np.abs(fitted[2:-2, 2:-2] - 127.5).max() < 3


def test_refuses_too_many_pixels_before_decoding(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(_PIXELS).save(path)
    _declare_size(path, 2**13, 2**13 + 1)
    with pytest.raises(ValueError, match="67108864 pixels.*8192x8193.*a.png"):
        image_file.read_header(path)


def test_refuses_what_pillow_calls_a_bomb(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(_PIXELS).save(path)
    _declare_size(path, 2**16, 2**16)
    with pytest.raises(ValueError, match="a.png .*decompression bomb"):
        image_file.read_header(path)


def test_refuses_more_than_8_bits(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros([4, 4], np.uint16)).save(path)
    with pytest.raises(ValueError, match="8-bit images; .*a.png.*I;16"):
        image_file.read_header(path)


def test_refuses_truncated_images(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(_PIXELS).save(path)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ValueError, match="readable image file; .*a.png"):
        image_file.decode(path, (4, 6), 3)


def test_refuses_other_formats_under_an_image_name(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(_PIXELS).save(path, format="TIFF")
    with pytest.raises(ValueError, match="readable image file; .*a.png"):
        image_file.read_header(path)
