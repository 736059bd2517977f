import numpy as np
import pytest
import tensorflow_datasets as tfds

from clel_tf.data import load
from clel_tf.data.tfds import load_tfds

_RNG = np.random.default_rng(0)
_FIXED = list(_RNG.integers(0, 256, [5, 4, 4, 3]).astype(np.uint8))
_SIZED = [np.full([4 + i, 9, 3], 50 * i, np.uint8) for i in range(5)]


def _write(data_dir, image, images, label=None, splits=("train",)):
    features = {"image": image} | ({"label": label} if label else {})
    classes = {"label": [i % 3 for i in range(len(images))]} if label else {}
    columns = {"image": images} | classes
    examples = [
        dict(zip(columns, row, strict=True))
        for row in zip(*columns.values(), strict=True)
    ]
    _write_examples(data_dir, features, dict.fromkeys(splits, examples))
    return f"tiny@{data_dir}"


def _write_examples(data_dir, features, split_examples):
    path = data_dir / "tiny" / "1.0.0"
    path.mkdir(parents=True)
    identity = tfds.core.dataset_info.DatasetIdentity(
        name="tiny",
        version=tfds.core.Version("1.0.0"),
        data_dir=str(path),
        module_name="tiny",
    )
    info = tfds.core.DatasetInfo(
        builder=identity, features=tfds.features.FeaturesDict(features)
    )
    writer = tfds.core.SequentialWriter(info, max_examples_per_shard=3)
    writer.initialize_splits(list(split_examples))
    writer.add_examples(split_examples)
    writer.close_all()


def _image(shape=(4, 4, 3), dtype=np.uint8):
    return tfds.features.Image(shape=shape, dtype=dtype)


def test_reads_images_labels_and_splits(tmp_path):
    classes = tfds.features.ClassLabel(names=["ant", "bee", "cow"])
    splits = ("train", "test", "validation")
    name = _write(tmp_path, _image(), _FIXED, classes, splits)
    data = load(f"tfds:{name}")
    np.testing.assert_array_equal(data.x_train, _FIXED)
    np.testing.assert_array_equal(data.x_test, _FIXED)
    assert data.y_train.tolist() == data.y_test.tolist() == [0, 1, 2, 0, 1]
    assert data.class_names == ("ant", "bee", "cow")
    assert (data.spec, data.levels) == (f"tfds:{name}", 256)


def test_reads_images_alone(tmp_path):
    data = load_tfds(_write(tmp_path, _image(), _FIXED))
    assert data.x_train.shape == (5, 4, 4, 3)
    assert data.y_train is data.x_test is data.class_names is None


def test_takes_validation_where_there_is_no_test(tmp_path):
    name = _write(
        tmp_path, _image(), _FIXED, splits=("train", "validation", "extra")
    )
    assert len(load_tfds(name).x_test) == 5


def test_reads_gray_images_and_resizes_them(tmp_path):
    gray = [image[..., :1] for image in _FIXED]
    name = _write(tmp_path, _image((4, 4, 1)), gray)
    np.testing.assert_array_equal(load_tfds(name).x_train, gray)
    assert load_tfds(name, image_size=(2, 3)).x_train.shape == (5, 2, 3, 1)


def test_resizes_images_of_several_sizes(tmp_path):
    name = _write(tmp_path, _image((None, None, 3)), _SIZED)
    data = load_tfds(name, image_size=(4, 6))
    expected = np.repeat([0, 50, 100, 150, 200], 4 * 6 * 3)
    np.testing.assert_array_equal(data.x_train, expected.reshape(5, 4, 6, 3))


def test_refuses_several_sizes_without_an_image_size(tmp_path):
    name = _write(tmp_path, _image((None, None, 3)), _SIZED)
    with pytest.raises(ValueError, match=r"image_size.*\(None, None, 3\)"):
        load_tfds(name)


def test_refuses_sets_without_images(tmp_path):
    labels = tfds.features.Tensor(shape=(4, 4, 3), dtype=np.float32)
    name = _write(tmp_path, labels, [np.zeros([4, 4, 3], np.float32)])
    with pytest.raises(ValueError, match=r"image of uint8.*float32"):
        load_tfds(name)


def test_refuses_other_numbers_of_channels(tmp_path):
    images = [np.zeros([4, 4, 4], np.uint8)]
    name = _write(tmp_path, _image((4, 4, 4)), images)
    with pytest.raises(ValueError, match=r"channels; .*\(4, 4, 4\)"):
        load_tfds(name)


def test_refuses_sets_without_a_train_split(tmp_path):
    name = _write(tmp_path, _image(), _FIXED, splits=("test",))
    with pytest.raises(ValueError, match=r"split train.*\['test'\]"):
        load_tfds(name)


def test_refuses_unknown_names(tmp_path):
    with pytest.raises(ValueError, match="received: no_such_set "):
        load_tfds(f"no_such_set@{tmp_path}")


def test_refuses_sets_larger_than_memory_should_hold(tmp_path, monkeypatch):
    monkeypatch.setattr("clel_tf.data.limits.MAX_BYTES", 239)
    name = _write(tmp_path, _image(), _FIXED)
    with pytest.raises(ValueError, match="at most 239 bytes.* 240 bytes"):
        load_tfds(name)


class ClelTiny(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict({"image": _image()}),
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        yield from ((i, {"image": image}) for i, image in enumerate(_FIXED))


def test_prepares_sets_that_are_not_yet(tmp_path):
    data = load_tfds(f"clel_tiny@{tmp_path}")
    assert sorted(data.x_train.tolist()) == sorted(
        map(np.ndarray.tolist, _FIXED)
    )
    again = load_tfds(f"clel_tiny@{tmp_path}")
    np.testing.assert_array_equal(again.x_train, data.x_train)


def test_says_which_set_could_not_be_prepared(tmp_path, monkeypatch):
    def download_and_prepare(self):
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(ClelTiny, "download_and_prepare", download_and_prepare)
    match = "clel_tiny@.* ConnectionError: no route to host"
    with pytest.raises(OSError, match=match):
        load_tfds(f"clel_tiny@{tmp_path}")


def test_hides_labels_that_are_secret(tmp_path):
    label = tfds.features.Tensor(shape=(), dtype=np.int64)
    examples = [{"image": image, "label": -1} for image in _FIXED]
    _write_examples(
        tmp_path, {"image": _image(), "label": label}, {"train": examples}
    )
    assert load_tfds(f"tiny@{tmp_path}").y_train is None
