"""Images of TensorFlow Datasets."""

import math

import numpy as np
from PIL import Image

from clel_tf.data import image_file
from clel_tf.data.image_data import ImageData
from clel_tf.data.limits import check_bytes

_TEST_SPLITS = ("test", "validation")  # the first there is


def load_tfds(name, image_size=None):
    """Loads the images of a data set of TensorFlow Datasets into memory.

    The set is downloaded and prepared where it is not yet. Its feature `image`
    has to hold bytes; its feature `label`, if it is an integer, gives the
    labels. The splits are `train` and `test` (without it: `validation`).

    Args:
        name: str. A data set, as `tfds.builder` reads it, such as `"cifar10"`
            or `"imagenet_resized/32x32"`. With a folder behind an `@`, as in
            `"my_set@/data/tfds"`, data are looked for and prepared there, else
            where TFDS_DATA_DIR or TensorFlow Datasets itself says.
        image_size: Optional `(height, width)`: the centre of each image is cut
            to this aspect ratio and resized. Defaults to `None`: the set has
            to be of one size.

    Returns:
        `ImageData` with 256 levels, and `class_names` if the set has them.

    Raises:
        ValueError: If there is no such set, it has no such features or splits,
            or images of several sizes and no `image_size` is given.
        OSError: If the set could not be downloaded or prepared.
    """
    builder = _make_builder(name)
    features = builder.info.features
    size, channels = _image_shape(name, features, image_size)
    _prepare(name, builder)
    splits = builder.info.splits
    arrays = []
    for split in _choose_splits(name, splits):
        count = splits[split].num_examples
        check_bytes(count * math.prod(size) * channels, f"tfds:{name}")
        arrays += _read_split(builder, split, [count, *size, channels])
    names = getattr(_feature(features, "label"), "names", None)
    names = None if names is None else tuple(names)
    return ImageData(f"tfds:{name}", *arrays, class_names=names)


def _make_builder(name):
    # Imported here, as it takes seconds that other data need not wait for.
    import tensorflow_datasets as tfds

    name, _, data_dir = name.partition("@")
    try:
        return tfds.builder(name, data_dir=data_dir or None)
    except Exception as error:  # of names, versions, configurations and files
        first_line = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"Expected a data set of TensorFlow Datasets; received: {name} "
            f"({first_line})."
        ) from error


def _prepare(name, builder):
    try:
        builder.download_and_prepare()  # returns at once if it is done
    except Exception as error:  # of networks, disks, checksums, manual steps
        raise OSError(
            f"Expected {name} to be prepared or to be downloadable into "
            f"{builder.data_dir}; received: {type(error).__name__}: "
            f"{_one_line(error)}."
        ) from error


def _image_shape(name, features, image_size):
    image = _feature(features, "image")
    shape = getattr(image, "shape", None) or ()
    if len(shape) != 3 or image.np_dtype != np.uint8:
        raise ValueError(
            f"Expected {name} to have a feature image of uint8 [H, W, C]; "
            f"received: {_one_line(features)}."
        )
    size = image_size or shape[:2]
    if None in size:
        raise ValueError(
            f"Expected an image_size, as images of {name} have no common one; "
            f"received: shape {shape}."
        )
    if shape[2] not in (1, 3):
        raise ValueError(
            f"Expected images of {name} to have 1 or 3 channels; received: "
            f"shape {shape}."
        )
    return tuple(size), shape[2]


def _one_line(value):
    return " ".join(str(value).split())


def _feature(features, name):
    is_dict = hasattr(features, "keys")  # a FeaturesDict, which has no `get`
    return features[name] if is_dict and name in features else None


def _choose_splits(name, splits):
    tests = [split for split in _TEST_SPLITS if split in splits]
    if "train" not in splits:
        raise ValueError(
            f"Expected a split train in {name}; received: {sorted(splits)}."
        )
    return ["train", *tests[:1]]


def _read_split(builder, split, shape):
    import tensorflow_datasets as tfds

    has_labels = _is_class(_feature(builder.info.features, "label"))
    images, labels = np.empty(shape, np.uint8), np.empty(shape[:1], np.int64)
    for row, example in enumerate(tfds.as_numpy(builder.as_dataset(split))):
        images[row] = _fit(example["image"], tuple(shape[1:3]))
        if has_labels:
            labels[row] = example["label"]
    # A label of -1 is how test splits say that theirs are secret.
    return images, labels if has_labels and (labels >= 0).all() else None


def _is_class(feature):
    shape = getattr(feature, "shape", None)
    return shape == () and np.issubdtype(feature.np_dtype, np.integer)


def _fit(image, size):
    if image.shape[:2] == size:
        return image
    # Pillow has grey images without an axis of channels.
    image = image[..., 0] if image.shape[-1] == 1 else image
    return image_file.fit(Image.fromarray(image), size)
