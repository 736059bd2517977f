"""One name for every source of images."""

import functools
import operator
import pathlib
from collections.abc import Callable
from collections.abc import Sequence

from clel_tf.data.digits import load_digits
from clel_tf.data.faults import Faults
from clel_tf.data.folder import load_folder
from clel_tf.data.image_data import ImageData
from clel_tf.data.interpolate import interpolate
from clel_tf.data.npz import load_npz
from clel_tf.data.select_classes import select_classes
from clel_tf.data.shifts import SHIFTS
from clel_tf.data.shifts import shift
from clel_tf.data.tfds import load_tfds

_PREFIXES: dict[str, Callable] = {
    "interpolate": interpolate,
    **{name: functools.partial(shift, name=name) for name in SHIFTS},
}
_CLASS_PREFIXES: dict[str, Callable] = {
    "only": select_classes,
    "without": functools.partial(select_classes, without=True),
}
_KNOWN = ", ".join(
    [
        "digits, npz:PATH, folder:PATH, tfds:NAME[@DATA_DIR]",
        *(f"{name}:SPEC" for name in _PREFIXES),
        *(f"{name}:CLASSES:SPEC" for name in _CLASS_PREFIXES),
    ]
)


def load(
    spec: str,
    image_size: Sequence[int] | None = None,
    stream: bool | None = None,
    faults: Faults | None = None,
) -> ImageData:
    """Loads a set of images as bytes: into memory, or streamed from files.

    | spec | images |
    | --- | --- |
    | `digits` | scikit-learn's handwritten digits, 8x8, without a download |
    | `npz:PATH` | arrays of a NumPy archive or several, see `load_npz` |
    | `folder:PATH` | PNG, JPEG, BMP, GIF and WebP files, see `load_folder` |
    | `tfds:NAME[@DATA_DIR]` | a set of TensorFlow Datasets, see `load_tfds` |
    | `interpolate:SPEC` | means of pairs of images of SPEC, see `interpolate` |
    | `only:CLASSES:SPEC` | images of classes as `3` or `3,5` of SPEC |
    | `without:CLASSES:SPEC` | the others, see `select_classes` |
    | `NAME:SPEC` | made of SPEC's or in their place, see `shift` for names |

    A SPEC may have prefixes itself: `blur:without:3:digits`.

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
        faults: Optional `Faults`: what to do about images of `folder:` that
            cannot be read. Defaults to `Faults("raise")`.

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
    prefixes, source = split_spec(spec)
    data = _load_source(source, _check_size(image_size), stream, faults)
    for prefix in prefixes:
        data = prefix(data)
    return data


def split_spec(spec: str) -> tuple[list[Callable], str]:
    """Splits a spec into the source of the images and what prefixes do to it.

    Args:
        spec: str, see `load`.

    Returns:
        Tuple of a list of functions from `ImageData` to `ImageData`, in the
        order in which they apply, and a str, the spec without its prefixes.

    Raises:
        TypeError: If it is no str.
        ValueError: If it is unknown.

    Example:

    >>> split_spec("interpolate:only:3,5:tfds:cifar10")[1]
    'tfds:cifar10'
    """
    if not isinstance(spec, str):
        raise TypeError(f"Expected a str out of {_KNOWN}; received: {spec!r}.")
    prefixes: list[Callable] = []
    source = spec
    while taken := _take_prefix(source):
        prefix, source = taken
        prefixes.insert(0, prefix)
    kind, _, argument = source.partition(":")
    takes_argument = kind in ("npz", "folder", "tfds")
    if not (takes_argument and argument) and source != "digits":
        raise ValueError(f"Expected one of {_KNOWN}; received: {spec!r}.")
    return prefixes, source


def _take_prefix(spec):
    """Returns what the first prefix does and the spec after it, or `None`."""
    kind, _, rest = spec.partition(":")
    if kind in _PREFIXES:
        return _PREFIXES[kind], rest
    if kind in _CLASS_PREFIXES:
        classes, _, rest = rest.partition(":")
        select = _CLASS_PREFIXES[kind]
        return functools.partial(select, classes=_parse_classes(classes)), rest
    return None


def _parse_classes(text):
    try:
        return [int(label) for label in text.split(",")]
    except ValueError as error:
        raise ValueError(
            "Expected classes as 3 or 3,5 in only:CLASSES:SPEC or "
            f"without:CLASSES:SPEC; received: {text!r}."
        ) from error


def _load_source(source, image_size, stream, faults):
    kind, _, argument = source.partition(":")
    path = pathlib.Path(argument).expanduser()
    if kind == "folder":
        return load_folder(path, image_size, stream, faults)
    if stream and kind != "npz":
        raise ValueError(
            f"Expected npz:PATH or folder:PATH for stream=True; received: "
            f"{source!r}."
        )
    if kind == "tfds":
        return load_tfds(argument, image_size)
    data = load_npz(path, stream) if kind == "npz" else load_digits()
    if image_size not in (None, data.image_shape[:2]):
        raise ValueError(
            "Expected no image_size or that of the images, "
            f"{data.image_shape[:2]}, as {kind} are not resized; received: "
            f"image_size={image_size}."
        )
    return data


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
