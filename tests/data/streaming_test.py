import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from clel_tf.data import StreamedImages
from clel_tf.data import limits
from clel_tf.data import load

_RNG = np.random.default_rng(0)
_IMAGES = _RNG.integers(0, 256, [20, 6, 5, 3]).astype(np.uint8)


def _save_npz(path, save=np.savez, **arrays):
    save(path / "a.npz", **({"x_train": _IMAGES, "x_test": _IMAGES} | arrays))
    return f"npz:{path}/a.npz"


def _save_labelled_npz(path):
    return _save_npz(path, y_train=np.arange(20) % 7)


def _save_fortran_npz(path):
    return _save_npz(path, x_train=np.asfortranarray(_IMAGES))


def _save_folder(path):
    for number, image in enumerate(_IMAGES):
        name = path / ("train", "test")[number % 2] / "ant" / f"{number}.png"
        name.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(name)
    return f"folder:{path}"


_SOURCES = [_save_npz, _save_labelled_npz, _save_fortran_npz, _save_folder]


@pytest.fixture(params=_SOURCES)
def both(request, tmp_path):
    spec = request.param(tmp_path)
    return load(spec, stream=False), load(spec, stream=True)


def test_streamed_images_are_the_images(both):
    memory, streamed = both
    for name in ("x_train", "x_test"):
        assert isinstance(getattr(memory, name), np.ndarray)
        assert isinstance(getattr(streamed, name), StreamedImages)
        np.testing.assert_array_equal(
            getattr(memory, name), getattr(streamed, name)[:]
        )
    assert (memory.mean, memory.std) == (streamed.mean, streamed.std)
    assert memory.class_names == streamed.class_names
    assert memory.spec == streamed.spec


@pytest.mark.parametrize("start", [0, 11])
def test_streamed_batches_are_the_batches(both, start):
    with_labels = both[0].y_train is not None
    batches = [
        data.train(7, seed=3, start_step=start, with_labels=with_labels)
        for data in both
    ]
    assert batches[0].element_spec == batches[1].element_spec
    assert batches[1].cardinality() == tf.data.INFINITE_CARDINALITY
    pairs = tf.data.Dataset.zip(*batches).take(9).as_numpy_iterator()
    for memory, streamed in pairs:
        tf.nest.map_structure(np.testing.assert_array_equal, memory, streamed)


def test_streamed_images_can_be_taken_and_interpolated(tmp_path):
    images = _RNG.integers(0, 256, [130, 2, 2, 1]).astype(np.uint8)
    np.savez(tmp_path / "a.npz", x=images)
    spec = f"interpolate:npz:{tmp_path}/a.npz"
    memory, streamed = (load(spec, stream=s).take(8) for s in (False, True))
    assert isinstance(streamed.x_train, StreamedImages)
    np.testing.assert_array_equal(memory.x_train, streamed.x_train[:])


def test_resized_folders_are_the_same(tmp_path):
    spec = _save_folder(tmp_path)
    memory, streamed = (load(spec, (3, 3), stream=s) for s in (False, True))
    np.testing.assert_array_equal(memory.x_train, streamed.x_train[:])


@pytest.mark.parametrize("save", [_save_npz, _save_folder])
def test_streams_by_itself_beyond_memory(tmp_path, monkeypatch, save):
    spec = save(tmp_path)
    assert isinstance(load(spec).x_train, np.ndarray)
    monkeypatch.setattr(limits, "MAX_BYTES", 20 * 6 * 5 * 3 - 1)
    assert isinstance(load(spec).x_train, StreamedImages)
    with pytest.raises(ValueError, match="to keep them in memory"):
        load(spec, stream=False)


def test_streams_beyond_a_quarter_of_the_memory(monkeypatch):
    monkeypatch.setattr(limits, "_memory", lambda: 4000)
    assert [limits.should_stream(n) for n in (1000, 1001)] == [False, True]
    assert limits.should_stream(1001, stream=False) is False


def test_finds_bytes_behind_other_members(tmp_path):
    spec = _save_npz(tmp_path, notes=np.arange(999), x_train=_IMAGES)
    path = tmp_path / "a.npz"
    path.write_bytes(b"#!a script, as may precede a zip" + path.read_bytes())
    images = load(spec, stream=True).x_train
    np.testing.assert_array_equal(images[:], _IMAGES)


def test_says_how_to_stream_compressed_files(tmp_path):
    spec = _save_npz(tmp_path, np.savez_compressed)
    match = "x_train of .*a.npz to be uncompressed.*np.savez.*stream=False"
    with pytest.raises(ValueError, match=match):
        load(spec, stream=True)
    assert len(load(spec, stream=False).x_train) == 20


def test_keeps_compressed_files_in_memory_whatever_their_size(
    tmp_path, monkeypatch
):
    spec = _save_npz(tmp_path, np.savez_compressed)
    monkeypatch.setattr(limits, "_memory", lambda: 0)
    assert isinstance(load(spec).x_train, np.ndarray)


def test_names_the_file_that_is_damaged_later(tmp_path):
    data = load(_save_folder(tmp_path), stream=True)
    path = tmp_path / "train" / "ant" / "0.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(tf.errors.InvalidArgumentError, match="ant/0.png"):
        next(iter(data.train(batch_size=10, seed=0)))


_MEASURE = """
import json, sys
from clel_tf.data import load

def resident():
    with open("/proc/self/status") as file:
        return next(int(x.split()[1]) for x in file if x.startswith("RssAnon"))

def read(stream):
    before = resident()
    data = load(sys.argv[1], stream=stream)
    for _ in data.train(batch_size=64, seed=0).take(50):
        pass
    data.mean
    return (resident() - before) / 1024

print(json.dumps([read(stream=True), read(stream=False)]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_set(tmp_path):
    images = np.broadcast_to(np.uint8(7), [100_000, 32, 32, 3])  # 293 MiB
    np.savez(tmp_path / "a.npz", x=images)
    command = [sys.executable, "-c", _MEASURE, f"npz:{tmp_path}/a.npz"]
    output = subprocess.run(command, check=True, capture_output=True).stdout
    streamed, in_memory = json.loads(output)
    assert streamed < 60 and in_memory > 290
