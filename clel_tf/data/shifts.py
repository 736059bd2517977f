"""Images made of a set's, or instead of them: out of its distribution."""

import functools
import math
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from clel_tf.data.image_data import ImageData
from clel_tf.data.interpolate import mean_of_bytes
from clel_tf.data.streamed_images import StreamedImages

_STREAM = 0x7368696674  # "shift": keeps these draws apart from others
_CHUNK = 2**20  # values made at once; a blur takes eight bytes for each


def shift(data, name):
    """Makes images that are out of the distribution of a set's images.

    They have the shape and the levels of the set's, so that neither gives
    them away, but no labels. Image i is, by name,

    - `constant`: of one grey level or colour, drawn uniformly;
    - `noise`: of values drawn uniformly, each for itself;
    - `blur`: the set's image i, smoothed by a Gaussian with a standard
      deviation of 1/8 of the shorter side; beyond its edges it is mirrored;
    - `invert`: `levels - 1` less the set's image i;
    - `rotate`: the set's image i, turned by 90 degrees counter-clockwise;
    - `shuffle`: the set's image i, its left and right halves exchanged;
    - `mix`: the mean of the set's image i and of that a third of the set
      further on, or from its start again;
    - `photographs`: a place in one of scikit-learn's two photographs, of
      random size, averaged down to the shape.

    Means are rounded to levels. What is drawn depends on i and on the part,
    training or test, alone.

    Args:
        data: `ImageData`; of square images for `rotate`.
        name: str. One of `SHIFTS`, the names above.

    Returns:
        `ImageData` of as many images in each part; streamed where `data` is.

    Raises:
        ValueError: If there is no such shift, or images to rotate are not
            square.

    Example:

    >>> images = np.array([[0, 1], [2, 3]], np.uint8).reshape(1, 2, 2, 1)
    >>> turned = shift(ImageData("corners", images, levels=4), "rotate")
    >>> turned.spec, turned.x_train[0, ..., 0].tolist()
    ('rotate:corners', [[1, 3], [0, 2]])
    """
    if name not in SHIFTS:
        raise ValueError(
            f"Expected a shift out of {', '.join(SHIFTS)}; received: {name!r}."
        )
    height, width, _ = data.image_shape
    if name == "rotate" and height != width:
        raise ValueError(
            f"Expected square images, to rotate {data.spec}; received: "
            f"{height}x{width} pixels."
        )
    x_train = _shift(_Part(data.x_train, data.levels, 0), name)
    x_test = None
    if data.x_test is not None:
        x_test = _shift(_Part(data.x_test, data.levels, 1), name)
    return ImageData(
        f"{name}:{data.spec}", x_train, x_test=x_test, levels=data.levels
    )


class _Part(NamedTuple):
    images: np.ndarray | StreamedImages
    levels: int
    number: int  # 0 for training images, 1 for test images


def _shift(part, name):
    make = functools.partial(_MAKERS[name], part)
    shifted = StreamedImages(make, part.images.shape)
    if isinstance(part.images, StreamedImages):
        return shifted
    size = max(1, _CHUNK // math.prod(shifted.shape[1:]))
    starts = range(0, len(shifted), size)
    return np.concatenate([shifted[i : i + size] for i in starts])


def _draw(part, rows, draw):
    """Images by independent draws, each of which is a function of its row."""
    images = [
        np.broadcast_to(
            draw(np.random.default_rng([_STREAM, part.number, row])),
            part.images.shape[1:],
        )
        for row in rows
    ]
    return np.array(images, np.uint8)


def _constant(part, rows):
    size = part.images.shape[-1]
    return _draw(part, rows, lambda rng: rng.integers(part.levels, size=size))


def _noise(part, rows):
    size = part.images.shape[1:]
    return _draw(part, rows, lambda rng: rng.integers(part.levels, size=size))


def _blur(part, rows):
    sigma = min(part.images.shape[1:3]) / 8
    images = part.images[rows].astype(np.float64)
    smooth = ndimage.gaussian_filter(images, sigma, mode="reflect", axes=(1, 2))
    return np.rint(smooth).astype(np.uint8)


def _invert(part, rows):
    return np.uint8(part.levels - 1) - part.images[rows]


def _rotate(part, rows):
    return np.rot90(part.images[rows], axes=(1, 2))


def _shuffle(part, rows):
    return np.roll(part.images[rows], part.images.shape[2] // 2, axis=2)


def _mix(part, rows):
    count = len(part.images)
    # Half of the set further on, every pair would come twice.
    other = (rows + (count + 1) // 3) % count
    return mean_of_bytes(part.images[rows], part.images[other])


def _photographs(part, rows):
    shape = part.images.shape[1:]

    def draw(rng):
        return _cut(rng, shape).astype(np.int64) * part.levels // 256

    return _draw(part, rows, draw)


def _cut(rng, shape):
    """Cuts a random place out of a photograph: uint8 of the shape."""
    height, width, channels = shape
    photographs = _load_photographs("L" if channels == 1 else "RGB")
    photograph = photographs[rng.integers(len(photographs))]
    largest = min(photograph.width / width, photograph.height / height)
    scale = rng.uniform(min(1.0, largest), largest)
    size = np.maximum(1, (scale * width, scale * height)).astype(int)
    corner = rng.integers(0, np.subtract(photograph.size, size), endpoint=True)
    box = (*corner, *(corner + size))
    cut = photograph.resize((width, height), Image.Resampling.BOX, box)
    return np.asarray(cut).reshape(shape)


@functools.lru_cache
def _load_photographs(mode):
    # Imported here, as it takes a second that other data need not wait for.
    from sklearn import datasets

    photographs = datasets.load_sample_images().images
    return [Image.fromarray(image).convert(mode) for image in photographs]


_MAKERS = {
    "constant": _constant,
    "noise": _noise,
    "blur": _blur,
    "invert": _invert,
    "rotate": _rotate,
    "shuffle": _shuffle,
    "mix": _mix,
    "photographs": _photographs,
}
SHIFTS = tuple(_MAKERS)
