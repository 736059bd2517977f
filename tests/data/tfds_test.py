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
    examples = [{"image": image} for image in images]
    if label:
        for i, example in enumerate(examples):
            example["label"] = i % 3
    tfds.dataset_builders.store_as_tfds_dataset(
        name="tiny",
        version="1.0.0",
        features=tfds.features.FeaturesDict(features),
        split_datasets={s: list(enumerate(examples)) for s in splits},
        data_dir=data_dir,
        disable_shuffling=True,
    )
    return f"tiny@{data_dir}"


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


def test_says_which_set_could_not_be_prepared(tmp_path):
    class ClelUnpreparable(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = tfds.features.FeaturesDict({"image": _image()})
            return self.dataset_info_from_configs(features=features)

        def _split_generators(self, dl_manager):
            raise ConnectionError("no route to host")

        def _generate_examples(self):
            yield from ()

    name = f"clel_unpreparable@{tmp_path}"
    with pytest.raises(OSError, match="clel_unpreparable.*no route to host"):
        load_tfds(name)


def test_hides_labels_that_are_secret(tmp_path):
    label = tfds.features.Tensor(shape=(), dtype=np.int64)
    features = tfds.features.FeaturesDict({"image": _image(), "label": label})
    examples = [{"image": image, "label": -1} for image in _FIXED]
    tfds.dataset_builders.store_as_tfds_dataset(
        name="tiny",
        version="1.0.0",
        features=features,
        split_datasets={"train": list(enumerate(examples))},
        data_dir=tmp_path,
    )
    assert load_tfds(f"tiny@{tmp_path}").y_train is None
