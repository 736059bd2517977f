import numpy as np
import pytest
from PIL import Image

from clel_tf.data import SHIFTS
from clel_tf.data import StreamedImages
from clel_tf.data import load
from clel_tf.data import shift
from clel_tf.data.load import split_spec


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
        "interpolate:mnist",
        "blur:",
        "blur:without:3:",
        "only:3",
        "without:3,5:mnist",
    ],
)
def test_lists_the_known_specs(spec):
    match = "digits, npz:PATH, folder:PATH, tfds:NAME"
    with pytest.raises(ValueError, match=match) as error:
        load(spec)
    assert repr(spec) in str(error.value)
    for name in SHIFTS:
        assert f"{name}:SPEC" in str(error.value)


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


@pytest.mark.parametrize("name", SHIFTS)
def test_loads_shifts(name):
    data = load(f"{name}:digits")
    assert data.spec == f"{name}:digits"
    assert (len(data.x_train), len(data.x_test), data.levels) == (1437, 360, 17)


def test_loads_classes():
    data = load("only:3,5:digits")
    assert data.spec == "only:3,5:digits"
    assert set(data.y_train) == set(data.y_test) == {3, 5}
    others = load("without:3,5:digits")
    assert set(others.y_train) == {0, 1, 2, 4, 6, 7, 8, 9}
    assert len(data.x_train) + len(others.x_train) == 1437


def test_prefixes_apply_from_the_last_to_the_first():
    data = load("invert:blur:without:3:only:3,5:digits", image_size=(8, 8))
    assert data.spec == "invert:blur:without:3:only:3,5:digits"
    fives = load("only:5:digits")
    expected = 16 - shift(fives, "blur").x_test
    np.testing.assert_array_equal(data.x_test, expected)


def test_prefixes_stream(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, [130, 4, 4, 1]).astype(np.uint8)
    np.savez(tmp_path / "a.npz", x=images, y=np.arange(130) % 3)
    spec = f"mix:only:0,2:npz:{tmp_path}/a.npz"
    memory, streamed = (load(spec, stream=s) for s in (False, True))
    assert isinstance(streamed.x_train, StreamedImages)
    assert streamed.spec == memory.spec == spec
    np.testing.assert_array_equal(streamed.x_train[:], memory.x_train)


@pytest.mark.parametrize("classes", ["", "a", "3,", "3.5", "digits"])
def test_refuses_odd_classes(classes):
    with pytest.raises(ValueError, match=f"3 or 3,5 .*received: '{classes}'"):
        load(f"only:{classes}:digits")


def test_refuses_classes_of_what_has_no_labels():
    with pytest.raises(ValueError, match="with labels.*blur:digits"):
        load("only:3:blur:digits")


@pytest.mark.parametrize(
    "spec, source",
    [
        ("digits", "digits"),
        ("npz:only:3", "npz:only:3"),
        ("blur:without:3:folder:a:b", "folder:a:b"),
    ],
)
def test_finds_the_source_behind_prefixes(spec, source):
    assert split_spec(spec)[1] == source
