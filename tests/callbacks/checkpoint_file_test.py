import numpy as np
import pytest

from clel_tf.callbacks import checkpoint_file

RECORD = {"step": 3, "configuration": {"a": [1, None, "ä"]}}
ARRAYS = {
    "a/0": np.array([0.1, np.nan, -np.inf], np.float32),
    "a/1": np.arange(6, dtype=np.uint8).reshape(1, 2, 3),
    "step": np.array(2**40),
    "empty": np.zeros((0, 4)),
}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.npz"
    checkpoint_file.write(path, RECORD, ARRAYS)
    return path


def test_what_was_written_is_read(path):
    record, arrays = checkpoint_file.read(path)
    assert record == RECORD and arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)


def test_numpy_reads_it_too(path):
    with np.load(path) as arrays:
        np.testing.assert_array_equal(arrays["a/1"], ARRAYS["a/1"])


def test_no_byte_can_be_another(path):
    content = path.read_bytes()
    for i in range(len(content)):
        changed = bytearray(content)
        changed[i] ^= 1 << i % 8
        path.write_bytes(changed)
        with pytest.raises(ValueError, match="a.npz is torn or was changed"):
            checkpoint_file.read(path)


def test_no_byte_can_be_missing_or_more(path):
    content = path.read_bytes()
    for wrong in [content + b"0", *(content[:i] for i in range(len(content)))]:
        path.write_bytes(wrong)
        with pytest.raises(ValueError, match="a.npz is torn or was changed"):
            checkpoint_file.read(path)


def test_a_file_that_cannot_be_read_is_named(path):
    path.unlink()
    with pytest.raises(ValueError, match="a.npz cannot be read: .*No such"):
        checkpoint_file.read(path)


def test_a_full_disk_leaves_the_file_before(path, full_disk):
    with full_disk(2**20):
        with pytest.raises(OSError, match="a.npz could not be written"):
            checkpoint_file.write(path, RECORD, {"a": np.zeros(2**18)})
    assert checkpoint_file.read(path)[0] == RECORD
    assert list(path.parent.iterdir()) == [path]
