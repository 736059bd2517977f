import numpy as np
import pytest

from clel_tf.data.npz import load_npz

_RNG = np.random.default_rng(0)
_IMAGES = _RNG.integers(0, 256, [36, 32, 32, 3]).astype(np.uint8)
_LABELS = np.arange(1, 37)


def _save_rows(path, images, labels):
    # As its authors do: planes of colours, labels from 1, a mean beside them.
    rows = np.moveaxis(images, -1, 1).reshape(len(images), -1)
    np.savez(path, data=rows, labels=labels, mean=rows.mean(0))


def _save_folder(path):
    for file in range(11):  # ten to sort by number, and one of another size
        rows = slice(3 * file, 3 * file + 3)
        name = f"train_data_batch_{file + 1}.npz"
        _save_rows(path / name, _IMAGES[rows], _LABELS[rows])
    _save_rows(path / "train_data_batch_12.npz", _IMAGES[33:35], _LABELS[33:35])
    _save_rows(path / "val_data.npz", _IMAGES[35:], _LABELS[35:])


@pytest.mark.parametrize("stream", [False, True])
def test_reads_all_files_in_the_order_of_their_numbers(tmp_path, stream):
    _save_folder(tmp_path)
    (tmp_path / "train_data_batch_1").write_text("a pickle")
    data = load_npz(tmp_path, stream)
    assert data.spec == f"npz:{tmp_path}"
    np.testing.assert_array_equal(data.x_train[:], _IMAGES[:35])
    np.testing.assert_array_equal(data.x_test[:], _IMAGES[35:])
    np.testing.assert_array_equal(data.y_train, np.arange(35))
    np.testing.assert_array_equal(data.y_test, [35])


def test_reads_streamed_rows_in_any_order(tmp_path):
    _save_folder(tmp_path)
    rows = np.random.default_rng(1).permutation(35)
    images = load_npz(tmp_path, stream=True).x_train
    np.testing.assert_array_equal(images[rows], _IMAGES[rows])


def test_reads_a_single_file_without_labels(tmp_path):
    rows = np.zeros([2, 12], np.uint8)
    np.savez(tmp_path / "train_data_batch_1.npz", data=rows)
    data = load_npz(tmp_path)
    assert data.image_shape == (2, 2, 3)
    assert data.y_train is data.x_test is None


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["val_data"],
        ["train_data_batch_2"],
        ["train_data_batch_1", "train_data_batch_3"],
        ["train_data_batch_1", "train_data_batch_01"],
        ["train_data_batch_1", "test"],
    ],
)
def test_refuses_other_sets_of_files(tmp_path, names):
    for name in names:
        _save_rows(tmp_path / f"{name}.npz", _IMAGES, _LABELS)
    match = "train_data_batch_1.npz and so on without a gap.*received:"
    with pytest.raises(ValueError, match=match) as error:
        load_npz(tmp_path)
    assert all(f"'{name}.npz'" in str(error.value) for name in names)


@pytest.mark.parametrize(
    "arrays, match",
    [
        ({"x": _IMAGES}, r"keys data\[/labels\] in .*_2.npz; received: x"),
        ({"data": _IMAGES}, r"_2.npz to have rows like .*_1.npz, \(3072,\)"),
        ({"data": np.zeros([3, 3072], np.uint8)}, "in all files or in none"),
        (
            {"data": np.zeros([3, 3072], np.uint8), "labels": [1, 2]},
            r"labels of .*_2.npz .* \(3,\).* received: shape \(2,\)",
        ),
    ],
)
def test_refuses_files_unlike_the_first(tmp_path, arrays, match):
    _save_rows(tmp_path / "train_data_batch_1.npz", _IMAGES, _LABELS)
    np.savez(tmp_path / "train_data_batch_2.npz", **arrays)
    with pytest.raises(ValueError, match=match):
        load_npz(tmp_path)
