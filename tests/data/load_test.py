import numpy as np
import pytest
from PIL import Image

from clel_tf.data import load


def test_loads_digits():
    assert load("digits").spec == "digits"
    assert load("digits", image_size=(8, 8)).image_shape == (8, 8, 1)


def test_loads_npz(tmp_path):
    np.savez(tmp_path / "a:b.npz", x=np.zeros([2, 4, 4, 3], np.uint8))
    data = load(f"npz:{tmp_path}/a:b.npz", image_size=[4, 4])
    assert data.image_shape == (4, 4, 3)


def test_loads_folders_from_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "images").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "images" / "a.png")
    data = load("folder:~/images", image_size=(2, 2))
    assert data.x_train.shape == (1, 2, 2, 3)


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "mnist",
        "digits:",
        "digits:3",
        "npz",
        "npz:",
        "folder:",
        "tfds:",
        "interpolate:",
    ],
)
def test_lists_the_known_specs(spec):
    match = "digits, npz:PATH, folder:PATH, tfds:NAME"
    with pytest.raises(ValueError, match=match) as error:
        load(spec)
    assert repr(spec) in str(error.value)


def test_refuses_specs_that_are_no_strings():
    with pytest.raises(TypeError, match="received: None"):
        load(None)


def test_loads_interpolations():
    data = load("interpolate:digits", image_size=(8, 8))
    assert data.spec == "interpolate:digits"
    assert (len(data.x_train), len(data.x_test), data.levels) == (1337, 260, 17)


@pytest.mark.parametrize("spec", ["digits", "tfds:x", "interpolate:tfds:x"])
def test_refuses_to_stream_what_it_cannot(spec):
    with pytest.raises(ValueError, match="npz:PATH or folder:PATH for stream"):
        load(spec, stream=True)


@pytest.mark.parametrize(
    "spec", ["npz:nowhere/a.npz", "folder:nowhere", "interpolate:npz:nowhere"]
)
def test_refuses_missing_paths(spec):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load(spec)


@pytest.mark.parametrize("image_size", [8, (8,), (8, 8, 1), (8.0, 8), "88"])
def test_refuses_odd_image_sizes(image_size):
    with pytest.raises(ValueError, match=r"\(height, width\) in pixels"):
        load("digits", image_size=image_size)


def test_refuses_empty_images():
    with pytest.raises(ValueError, match=r"at least \(1, 1\)"):
        load("digits", image_size=(0, 8))


def test_refuses_another_size_for_arrays():
    with pytest.raises(ValueError, match=r"\(8, 8\).*image_size=\(16, 16\)"):
        load("digits", image_size=(16, 16))
