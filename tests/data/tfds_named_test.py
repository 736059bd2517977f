import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from clel_tf.data import load

_RNG = np.random.default_rng(0)


def _noise(height, width):
    return _RNG.integers(0, 256, [height, width, 3]).astype(np.uint8)


def _zeros(feature):
    if isinstance(feature, tfds.features.FeaturesDict):
        return {name: _zeros(part) for name, part in feature.items()}
    return "" if isinstance(feature, tfds.features.Text) else 0


def _stored(spec, split="test"):
    name, _, data_dir = spec.removeprefix("tfds:").partition("@")
    dataset = tfds.load(name, split=split, data_dir=data_dir, download=False)
    return [example["image"] for example in tfds.as_numpy(dataset)]


@pytest.fixture
def prepare(tmp_path, monkeypatch):
    # The real builders, features and versions, but for what is downloaded.
    def write(name, images, splits=("train", "test"), **columns):
        builder = tfds.builder(name, data_dir=tmp_path)
        blank = _zeros(builder.info.features)
        examples = [
            (
                i,
                blank
                | {"image": image}
                | {k: v[i] for k, v in columns.items()},
            )
            for i, image in enumerate(images)
        ]
        monkeypatch.setattr(
            type(builder),
            "_split_generators",
            lambda self, _: {split: iter(examples) for split in splits},
        )
        builder.download_and_prepare()
        monkeypatch.undo()
        return f"tfds:{name}@{tmp_path}"

    return write


@pytest.mark.parametrize(
    "name, num_classes",
    [("cifar10", 10), ("cifar100", 100), ("svhn_cropped", 10)],
)
def test_reads_small_images_as_they_are(prepare, name, num_classes):
    images = [_noise(32, 32) for _ in range(4)]
    labels = [7, 3, num_classes - 1, 0]
    data = load(prepare(name, images, label=labels))
    order = [labels.index(label) for label in data.y_train]
    np.testing.assert_array_equal(data.x_train, np.stack(images)[order])
    assert sorted(order) == [0, 1, 2, 3]
    assert sorted(data.y_test) == sorted(labels)
    assert len(data.class_names) == num_classes


def test_reads_the_fine_labels_of_cifar100(prepare):
    spec = prepare("cifar100", [_noise(32, 32)], label=[42], coarse_label=[5])
    assert load(spec).y_train.tolist() == [42]


@pytest.mark.parametrize("size", [64, 32])
def test_cuts_the_faces_of_celeb_a(prepare, size):
    face = Image.fromarray(_noise(22, 18)).resize((178, 218))
    spec = prepare("celeb_a", [np.asarray(face)])
    data = load(spec) if size == 64 else load(spec, image_size=(32, 32))
    stored = Image.fromarray(_stored(spec)[0])  # what JPEG made of it
    # As torchvision's CenterCrop(140) and Resize(size) do.
    box = stored.crop((19, 39, 159, 179))
    expected = box.resize((size, size), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(data.x_test, [np.asarray(expected)])
    assert data.y_train is data.y_test is data.class_names is None


@pytest.mark.parametrize("size", [32, 40])
def test_cuts_the_corners_of_dtd(prepare, tmp_path, size):
    paths = [str(tmp_path / name) for name in ("a.jpg", "b.jpg")]
    for path, (height, width) in zip(paths, [(40, 70), (50, 45)], strict=True):
        Image.fromarray(_noise(height, width)).save(path)
    spec = prepare("dtd", paths, label=["woven", "dotted"])
    data = load(spec) if size == 32 else load(spec, image_size=(40, 40))
    expected = [image[:size, :size] for image in _stored(spec)]
    np.testing.assert_array_equal(data.x_test, expected)
    names = {data.class_names[label] for label in data.y_train}
    assert names == {"woven", "dotted"}


def test_refuses_textures_smaller_than_the_corner(prepare):
    spec = prepare("dtd", [_noise(40, 31)])
    with pytest.raises(ValueError, match=r"\(32, 32\).*one of \(40, 31\)"):
        load(spec)


@pytest.mark.parametrize("name", ["downsampled_imagenet", "imagenet_resized"])
def test_reads_imagenet_32(prepare, name):
    images = [_noise(32, 32) for _ in range(3)]
    spec = prepare(f"{name}/32x32", images, splits=("train", "validation"))
    data = load(spec)
    assert data.x_train.shape == (3, 32, 32, 3)
    np.testing.assert_array_equal(data.x_test, _stored(spec, "validation"))
    has_labels = name == "imagenet_resized"
    assert (data.y_train is not None) == has_labels
    assert len(data.class_names or ()) == 1000 * has_labels
