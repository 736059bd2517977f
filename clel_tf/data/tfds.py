"""Images of TensorFlow Datasets."""

import math

import numpy as np
from PIL import Image

from clel_tf.data import image_file
from clel_tf.data.image_data import ImageData
from clel_tf.data.limits import check_bytes

_TEST_SPLITS = ("test", "validation")  # the first there is
_FACE = 140  # side of the centre of CelebA's images that models are trained on


def load_tfds(name, image_size=None):
    """Loads the images of a data set of TensorFlow Datasets into memory.

    The set is downloaded and prepared where it is not yet. Its feature `image`
    has to hold bytes; its feature `label`, if it is an integer, gives the
    labels. The splits are `train` and `test` (without it: `validation`).
    Images are cut as is customary for a set:

    | set | image | default size |
    | --- | --- | --- |
    | `celeb_a` | the central 140x140, resized (bilinear, antialiased) | 64x64 |
    | `dtd` | the top-left corner, not resized | 32x32 |
    | `downsampled_imagenet/32x32` | the whole image | 32x32 |
    | `downsampled_imagenet/64x64` | the whole image | 64x64 |
    | any other | the centre of the right aspect, resized (Lanczos) | its own |

    Args:
        name: str. A data set, as `tfds.builder` reads it, such as `"cifar10"`
            or `"imagenet_resized/32x32"`. With a folder behind an `@`, as in
            `"my_set@/data/tfds"`, data are looked for and prepared there, else
            where TFDS_DATA_DIR or TensorFlow Datasets itself says.
        image_size: Optional `(height, width)`. Defaults to `None`: that of the
            table, where a set without a default has to be of one size.

    Returns:
        `ImageData` with 256 levels, and `class_names` if the set has them.

    Raises:
        ValueError: If there is no such set, it has no such features or splits,
            images of several sizes and no `image_size` is given, or an image
            is smaller than its cut.
        OSError: If the set could not be downloaded or prepared.
    """
    builder = _make_builder(name)
    features = builder.info.features
    default_size, cut = _CUTS.get(_full_name(builder), (None, _fit))
    image_size = image_size or default_size
    size, channels = _image_shape(name, features, image_size)
    _prepare(name, builder)
    splits = builder.info.splits
    arrays = []
    for split in _choose_splits(name, splits):
        count = splits[split].num_examples
        check_bytes(count * math.prod(size) * channels, f"tfds:{name}")
        shape = [count, *size, channels]
        arrays += _read_split(builder, split, shape, cut)
    names = getattr(_feature(features, "label"), "names", None)
    names = None if names is None else tuple(names)
    spec = f"tfds:{name}"
    # Two or four arrays, which the checker cannot count.
    return ImageData(spec, *arrays, class_names=names)  # type: ignore[misc]


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


def _full_name(builder):
    config = builder.builder_config
    return f"{builder.name}/{config.name}" if config else builder.name


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
    shape: tuple = getattr(image, "shape", None) or ()
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


def _read_split(builder, split, shape, cut):
    import tensorflow_datasets as tfds

    has_labels = _is_class(_feature(builder.info.features, "label"))
    images, labels = np.empty(shape, np.uint8), np.empty(shape[:1], np.int64)
    for row, example in enumerate(tfds.as_numpy(builder.as_dataset(split))):
        images[row] = cut(example["image"], tuple(shape[1:3]))
        if has_labels:
            labels[row] = example["label"]
    # A label of -1 is how test splits say that theirs are secret.
    return images, labels if has_labels and (labels >= 0).all() else None


def _is_class(feature):
    shape = getattr(feature, "shape", None)
    return shape == () and np.issubdtype(feature.np_dtype, np.integer)


def _fit(image, size, **kwargs):
    if image.shape[:2] == size:
        return image
    # Pillow has grey images without an axis of channels.
    image = image[..., 0] if image.shape[-1] == 1 else image
    return image_file.fit(Image.fromarray(image), size, **kwargs)


def _fit_face(image, size):
    top, left = ((side - _FACE) // 2 for side in image.shape[:2])
    face = image[top : top + _FACE, left : left + _FACE]
    return _fit(face, size, resample=Image.Resampling.BILINEAR)


def _corner(image, size):
    corner = image[: size[0], : size[1]]
    if corner.shape[:2] != size:
        raise ValueError(
            f"Expected images of at least {size} to cut their corner; "
            f"received: one of {image.shape[:2]} (height, width)."
        )
    return corner


_CUTS = {  # a set's default size, and how an image is cut to a size
    "celeb_a": ((64, 64), _fit_face),
    "downsampled_imagenet/32x32": ((32, 32), _fit),
    "downsampled_imagenet/64x64": ((64, 64), _fit),
    "dtd": ((32, 32), _corner),
}
