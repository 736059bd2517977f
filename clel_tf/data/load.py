"""One name for every source of images."""

import operator
import pathlib

from clel_tf.data.digits import load_digits
from clel_tf.data.folder import load_folder
from clel_tf.data.interpolate import interpolate
from clel_tf.data.npz import load_npz
from clel_tf.data.tfds import load_tfds

_KNOWN = "digits, npz:PATH, folder:PATH, tfds:NAME[@DATA_DIR], interpolate:SPEC"


def load(spec, image_size=None, stream=None):
    """Loads a set of images as bytes: into memory, or streamed from files.

    | spec | images |
    | --- | --- |
    | `digits` | scikit-learn's handwritten digits, 8x8, without a download |
    | `npz:PATH` | arrays of a NumPy archive or several, see `load_npz` |
    | `folder:PATH` | PNG, JPEG, BMP, GIF and WebP files, see `load_folder` |
    | `tfds:NAME[@DATA_DIR]` | a set of TensorFlow Datasets, see `load_tfds` |
    | `interpolate:SPEC` | means of pairs of images of SPEC, see `interpolate` |

    Streamed images are read from their files for every batch anew, so sets may
    be larger than memory; batches are the same. This takes a folder of images
    or an npz file that is not compressed.

    Args:
        spec: str. One of the above.
        image_size: Optional tuple of ints `(height, width)`. Images of folders
            and TensorFlow Datasets are cropped at the centre and resized to
            it, sets with a customary cut in that way (see `load_tfds`);
            others have to have it. Defaults to `None`, as they are.
        stream: Optional bool. Whether to stream the images. Defaults to
            `None`: if they take more than a quarter of the machine's memory
            or 16 GiB, and come from `npz:` or `folder:`.

    Returns:
        `ImageData`.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        TypeError: If an argument is of another type.
        ValueError: If the spec is unknown or the data are not as expected.
        OSError: If a set could not be downloaded.

    Example:

    >>> data = load("digits")
    >>> data.image_shape, data.levels, data.class_names[:3]
    ((8, 8, 1), 17, ('0', '1', '2'))
    >>> batches = data.train(batch_size=64, seed=0, with_labels=True)
    >>> images, labels = next(iter(batches))
    >>> images.shape, labels.shape
    (TensorShape([64, 8, 8, 1]), TensorShape([64]))
    """
    kind, argument = _parse(spec)
    image_size = _check_size(image_size)
    if kind == "interpolate":
        return interpolate(load(argument, image_size, stream))
    if kind == "folder":
        return load_folder(argument, image_size, stream)
    if stream and kind != "npz":
        raise ValueError(
            f"Expected npz:PATH or folder:PATH for stream=True; received: "
            f"{spec!r}."
        )
    if kind == "tfds":
        return load_tfds(argument, image_size)
    data = load_npz(argument, stream) if kind == "npz" else load_digits()
    if image_size not in (None, data.image_shape[:2]):
        raise ValueError(
            "Expected no image_size or that of the images, "
            f"{data.image_shape[:2]}, as {kind} are not resized; received: "
            f"image_size={image_size}."
        )
    return data


def _parse(spec):
    if not isinstance(spec, str):
        raise TypeError(f"Expected a str out of {_KNOWN}; received: {spec!r}.")
    kind, _, argument = spec.partition(":")
    takes_argument = kind in ("npz", "folder", "tfds", "interpolate")
    if not (takes_argument and argument) and spec != "digits":
        raise ValueError(f"Expected one of {_KNOWN}; received: {spec!r}.")
    if kind in ("npz", "folder"):
        argument = pathlib.Path(argument).expanduser()
    return kind, argument


def _check_size(image_size):
    if image_size is None:
        return None
    try:
        height, width = (operator.index(n) for n in image_size)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "Expected image_size to be (height, width) in pixels; received: "
            f"{image_size!r}."
        ) from error
    if min(height, width) < 1:
        raise ValueError(
            "Expected image_size to be at least (1, 1); received: "
            f"{image_size!r}."
        )
    return height, width
