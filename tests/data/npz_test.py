import io
import zipfile

import numpy as np
import pytest

from clel_tf.data.npz import load_npz

_RNG = np.random.default_rng(0)
_IMAGES = _RNG.integers(0, 256, [6, 4, 5, 3]).astype(np.uint8)
_LABELS = np.array([0, 1, 2, 0, 1, 2])


def _save(tmp_path, **arrays):
    path = tmp_path / "images.npz"
    np.savez(path, **arrays)
    return path


def _write_member(tmp_path, content, name="x.npy"):
    path = tmp_path / "images.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return path


def _header(shape, descr="|u1"):
    file = io.BytesIO()
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue()


def test_reads_train_and_test(tmp_path):
    path = _save(
        tmp_path,
        x_train=_IMAGES,
        y_train=_LABELS.astype(np.uint8),
        x_test=_IMAGES[:2],
        y_test=_LABELS[:2, np.newaxis],
        mean=np.zeros(3),
    )
    data = load_npz(path)
    np.testing.assert_array_equal(data.x_train, _IMAGES)
    np.testing.assert_array_equal(data.y_train, _LABELS)
    np.testing.assert_array_equal(data.x_test, _IMAGES[:2])
    np.testing.assert_array_equal(data.y_test, _LABELS[:2])
    assert data.y_train.dtype == data.y_test.dtype == np.int64
    assert (data.spec, data.levels) == (f"npz:{path}", 256)


def test_reads_images_alone(tmp_path):
    data = load_npz(_save(tmp_path, x_train=_IMAGES))
    assert data.y_train is data.x_test is data.y_test is None


def test_reads_x_and_y_and_adds_a_channel(tmp_path):
    data = load_npz(_save(tmp_path, x=_IMAGES[..., 0], y=_LABELS))
    np.testing.assert_array_equal(data.x_train, _IMAGES[..., :1])
    np.testing.assert_array_equal(data.y_train, _LABELS)


def test_reads_the_rows_of_imagenet_32(tmp_path):
    rows = np.zeros([2, 3 * 4], np.uint8)
    rows[0, :4] = [1, 2, 3, 4]  # reds of the first image, row by row
    rows[1, 8:] = [5, 6, 7, 8]  # blues of the second
    labels = np.array([1, 1000])
    data = load_npz(_save(tmp_path, data=rows, labels=labels))
    np.testing.assert_array_equal(data.x_train[0, ..., 0], [[1, 2], [3, 4]])
    np.testing.assert_array_equal(data.x_train[1, ..., 2], [[5, 6], [7, 8]])
    assert data.x_train.sum() == rows.sum()
    np.testing.assert_array_equal(data.y_train, [0, 999])


@pytest.mark.parametrize(
    "arrays, expected",
    [
        ({"data": np.zeros([2, 12], np.uint8), "labels": [0, 2]}, [0, 2]),
        ({"data": np.zeros([2, 12], np.uint8), "labels": [3, 2]}, [3, 2]),
        ({"x": _IMAGES[:2], "y": [1, 2]}, [1, 2]),
    ],
)
def test_counts_other_labels_as_they_are(tmp_path, arrays, expected):
    data = load_npz(_save(tmp_path, **arrays))
    np.testing.assert_array_equal(data.y_train, expected)


def test_reads_compressed_files(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros([99, 32, 32], np.uint8))
    assert load_npz(tmp_path / "a.npz").x_train.shape == (99, 32, 32, 1)


@pytest.mark.parametrize(
    "arrays, match",
    [
        ({"images": _IMAGES}, r"keys x_train.* received: \['images'\]"),
        ({"x_test": _IMAGES}, r"received: \['x_test'\]"),
        ({"x_train": _IMAGES, "y_test": _LABELS}, "x_test beside y_test"),
        ({"x": _IMAGES / 255}, "x of .* uint8; received: float64"),
        ({"x": _IMAGES.astype(object)}, "uint8; received: object"),
        ({"x": _IMAGES, "y": _LABELS / 2}, "y of .* integers; .* float64"),
        ({"x": _IMAGES, "y": np.array(list("abcdef"))}, "integers; .* <U1"),
        ({"x": _IMAGES, "y": _LABELS[:5]}, r"one label an image.* \(5,\)"),
        (
            {"x": _IMAGES, "y": np.eye(6, dtype=int)},
            r"received: shape \(6, 6\)",
        ),
        ({"x": _IMAGES[0, 0]}, r"\[N, H, W, C\].* received: shape \(5, 3\)"),
        ({"x": _IMAGES[..., :2]}, "1 or 3 channels; received: 2"),
        ({"x": _IMAGES[:0]}, r"received: shape \(0, 4, 5, 3\)"),
        ({"data": _IMAGES.reshape(6, -1)}, r"3 \* S \* S.* \(6, 60\)"),
        ({"x_train": _IMAGES, "x_test": _IMAGES[:, :2]}, "like x_train"),
    ],
)
def test_refuses_bad_arrays(tmp_path, arrays, match):
    path = _save(tmp_path, **arrays)
    with pytest.raises(ValueError, match=match) as error:
        load_npz(path)
    assert str(path) in str(error.value)


def test_refuses_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="received: .*none.npz"):
        load_npz(tmp_path / "none.npz")


def test_refuses_other_files(tmp_path):
    np.save(tmp_path / "images.npy", _IMAGES)
    with pytest.raises(ValueError, match="readable npz file.*images.npy"):
        load_npz(tmp_path / "images.npy")


def test_refuses_a_truncated_file(tmp_path):
    path = _save(tmp_path, x=_IMAGES)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match="readable npz file.*images.npz"):
        load_npz(path)


def test_refuses_damaged_bytes(tmp_path):
    path = _save(tmp_path, x=_IMAGES)
    content = bytearray(path.read_bytes())
    content[250] ^= 255
    path.write_bytes(content)
    with pytest.raises(ValueError, match="readable npz file.*CRC"):
        load_npz(path)


def test_refuses_members_that_are_no_arrays(tmp_path):
    path = _write_member(tmp_path, b"no array at all")
    with pytest.raises(ValueError, match="readable npz file.*magic"):
        load_npz(path)


@pytest.mark.parametrize("count", [101, 2**30, 10**15])
def test_refuses_a_header_that_claims_too_much(tmp_path, monkeypatch, count):
    monkeypatch.setattr(np, "load", None)  # it must not come to this
    path = _write_member(tmp_path, _header((count, 1, 1)) + bytes(100))
    with pytest.raises(ValueError, match=f"100 bytes there.*{count} bytes"):
        load_npz(path)


def test_refuses_an_archive_that_claims_more_than_it_could_hold(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(np, "load", None)
    path = _write_member(tmp_path, _header((2**31, 1, 1)) + bytes(100))
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02") + 24  # the member's uncompressed size
    content[at : at + 4] = (2**31 + 128).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(ValueError, match="there is room for"):
        load_npz(path)


def test_refuses_sets_larger_than_memory_should_hold(tmp_path, monkeypatch):
    monkeypatch.setattr("clel_tf.data.limits.MAX_BYTES", 359)
    path = _save(tmp_path, x=_IMAGES)
    with pytest.raises(ValueError, match="at most 359 bytes.*360 bytes in"):
        load_npz(path, stream=False)
