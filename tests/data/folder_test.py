import numpy as np
import pytest
from PIL import Image

from clel_tf.data.folder import load_folder


def _save(path, value, size=(4, 4), mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)


def _values(images):
    return images[:, 0, 0, 0].tolist()


def test_reads_a_flat_folder_in_the_order_of_names(tmp_path):
    for value, name in enumerate(["b.png", "a.png", "C.PNG", "d.bmp"]):
        _save(tmp_path / name, value, size=(6, 4))
    (tmp_path / "README.txt").write_text("not an image")
    (tmp_path / ".hidden.png").write_text("not an image")
    data = load_folder(str(tmp_path))
    assert data.x_train.shape == (4, 4, 6, 1)
    assert _values(data.x_train) == [2, 1, 0, 3]
    assert data.y_train is data.x_test is data.class_names is None
    assert (data.spec, data.levels) == (f"folder:{tmp_path}", 256)


def test_labels_are_the_ranks_of_the_classes(tmp_path):
    _save(tmp_path / "zebra" / "1.png", 10)
    _save(tmp_path / "ant" / "2.png", 20)
    _save(tmp_path / "ant" / "1.png", 30)
    data = load_folder(tmp_path)
    assert _values(data.x_train) == [30, 20, 10]
    assert data.y_train.tolist() == [0, 0, 1]
    assert data.y_train.dtype == np.int64
    assert data.class_names == ("ant", "zebra")


def test_reads_train_and_test_with_the_classes_of_train(tmp_path):
    for label, name in enumerate(["ant", "bee", "cow"]):
        _save(tmp_path / "train" / name / "a.png", label)
    _save(tmp_path / "test" / "cow" / "a.png", 2)
    _save(tmp_path / "test" / "bee" / "a.png", 1)
    data = load_folder(tmp_path)
    assert data.y_train.tolist() == _values(data.x_train) == [0, 1, 2]
    assert data.y_test.tolist() == _values(data.x_test) == [1, 2]
    assert data.class_names == ("ant", "bee", "cow")


def test_reads_train_and_test_without_classes(tmp_path):
    _save(tmp_path / "train" / "a.png", 1)
    _save(tmp_path / "test" / "a.png", 2)
    data = load_folder(tmp_path)
    assert (_values(data.x_train), _values(data.x_test)) == ([1], [2])
    assert data.y_train is data.y_test is None


def test_val_is_the_test_part_too(tmp_path):
    _save(tmp_path / "train" / "ant" / "a.png", 1)
    _save(tmp_path / "val" / "ant" / "a.png", 2)
    data = load_folder(tmp_path)
    assert (_values(data.x_train), _values(data.x_test)) == ([1], [2])
    assert data.y_train.tolist() == data.y_test.tolist() == [0]


def test_reads_train_alone(tmp_path):
    _save(tmp_path / "train" / "a.png", 1)
    data = load_folder(tmp_path)
    assert _values(data.x_train) == [1]
    assert data.x_test is None


def test_one_coloured_image_makes_all_of_them_rgb(tmp_path):
    _save(tmp_path / "train" / "a.png", 7)
    _save(tmp_path / "test" / "b.png", (1, 2, 3), mode="RGB")
    data = load_folder(tmp_path)
    assert data.x_train[0, 0, 0].tolist() == [7, 7, 7]
    assert data.x_test[0, 0, 0].tolist() == [1, 2, 3]


def test_image_size_makes_sizes_equal(tmp_path):
    _save(tmp_path / "a.png", 1, size=(9, 4))
    _save(tmp_path / "b.png", 2, size=(4, 30))
    data = load_folder(tmp_path, image_size=(3, 5))
    assert data.x_train.shape == (2, 3, 5, 1)
    assert _values(data.x_train) == [1, 2]


def test_refuses_mixed_sizes(tmp_path):
    _save(tmp_path / "a.png", 1, size=(9, 4))
    _save(tmp_path / "b.png", 2, size=(4, 9))
    with pytest.raises(
        ValueError, match=r"image_size; .*a.png of \(4, 9\).*b.png of \(9, 4\)"
    ):
        load_folder(tmp_path)


def test_refuses_a_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="folder; received: .*none"):
        load_folder(tmp_path / "none")


def test_refuses_a_file(tmp_path):
    _save(tmp_path / "a.png", 1)
    with pytest.raises(FileNotFoundError, match="folder; received: .*a.png"):
        load_folder(tmp_path / "a.png")


def test_refuses_an_empty_folder(tmp_path):
    with pytest.raises(ValueError, match=r"\.png .* in .*; received: none"):
        load_folder(tmp_path)


def test_refuses_an_empty_class(tmp_path):
    _save(tmp_path / "ant" / "a.png", 1)
    (tmp_path / "bee").mkdir()
    with pytest.raises(ValueError, match="in .*bee; received: none"):
        load_folder(tmp_path)


def test_refuses_images_beside_classes(tmp_path):
    _save(tmp_path / "ant" / "a.png", 1)
    _save(tmp_path / "b.png", 1)
    with pytest.raises(ValueError, match="both, b.png and ant"):
        load_folder(tmp_path)


def test_refuses_folders_in_classes(tmp_path):
    _save(tmp_path / "ant" / "red" / "a.png", 1)
    with pytest.raises(ValueError, match="images only; .*red"):
        load_folder(tmp_path)


_UNCLEAR = [
    ["test"],
    ["val"],
    ["test", "ant"],
    ["train", "ant"],
    ["train", "test", "val"],
]


@pytest.mark.parametrize("names", _UNCLEAR)
def test_refuses_unclear_splits(tmp_path, names):
    for name in names:
        _save(tmp_path / name / "a.png", 1)
    with pytest.raises(ValueError, match=f"folder train.*'{names[-1]}'"):
        load_folder(tmp_path)


def test_refuses_classes_in_one_split_only(tmp_path):
    _save(tmp_path / "train" / "ant" / "a.png", 1)
    _save(tmp_path / "test" / "a.png", 1)
    with pytest.raises(ValueError, match="in both train and test"):
        load_folder(tmp_path)


def test_refuses_classes_of_test_that_train_lacks(tmp_path):
    _save(tmp_path / "train" / "ant" / "a.png", 1)
    _save(tmp_path / "test" / "bee" / "a.png", 1)
    with pytest.raises(ValueError, match=r"'ant'.*received: \['bee'\]"):
        load_folder(tmp_path)


def test_refuses_corrupt_images(tmp_path):
    _save(tmp_path / "a.png", 1)
    (tmp_path / "b.png").write_bytes(b"\x89PNG, or so")
    with pytest.raises(ValueError, match="readable image file; .*b.png"):
        load_folder(tmp_path)


def test_refuses_sets_larger_than_memory_should_hold(tmp_path, monkeypatch):
    monkeypatch.setattr("clel_tf.data.limits.MAX_BYTES", 31)
    for name in ("a.png", "b.png"):
        _save(tmp_path / name, 1)
    with pytest.raises(ValueError, match="at most 31 bytes.* 32 bytes"):
        load_folder(tmp_path, stream=False)
