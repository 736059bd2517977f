"""Images of a report: samples, their nearest neighbours, other sets."""

from typing import NamedTuple

import numpy as np

from clel_tf.trainers.report.picture import Picture
from clel_tf.trainers.report.picture import of_images
from clel_tf.trainers.report.picture import scale_of
from clel_tf.trainers.report.tables import number

_WIDTH = 490  # of a grid, pixels of the page: two stand side by side
_MOST_SAMPLES = 100
_MOST_PIXELS = 2**18  # of samples: what keeps the page below a few megabytes
_MOST_COMPARED = 12
_MOST_SHOWN = 10  # of a set


class Neighbours(NamedTuple):
    """A sample and its nearest training images.

    Attributes:
        sample: `Picture`.
        nearest: list of `Picture`s, their captions the distances.
    """

    sample: Picture
    nearest: list


def samples(arrays):
    """Draws the first samples in two grids.

    Args:
        arrays: dict of arrays, of which `samples` `[n, H, W, C]` is drawn.

    Returns:
        List of `Picture`s; empty where there are no samples.
    """
    images = arrays.get("samples", ())[:_MOST_SAMPLES]
    if not len(images):
        return []
    images = images[: max(_MOST_PIXELS // images[0].size, 1)]
    columns = max(_WIDTH // (scale_of(images) * images.shape[2] + 1), 1)
    return [
        of_images(some, min(columns, len(some)), f"{len(some)} samples")
        for some in np.array_split(images, 2)
        if len(some)
    ]


def neighbours(arrays):
    """Draws samples, each with its nearest training images.

    Args:
        arrays: dict of arrays, of which `neighbours/samples` `[m, H, W, C]`,
            `neighbours/images` `[m, k, H, W, C]` and `neighbours/distances`
            `[m, k]` are drawn.

    Returns:
        List of `Neighbours`; empty where there are none.
    """
    drawn = []
    images = arrays.get("neighbours/samples", ())[:_MOST_COMPARED]
    for i, image in enumerate(images):
        nearest = zip(
            arrays["neighbours/images"][i], arrays["neighbours/distances"][i]
        )
        drawn.append(
            Neighbours(
                of_images(image[None], 1, f"sample {i + 1}", "sample"),
                [
                    of_images(x[None], 1, "training image", number(distance))
                    for x, distance in nearest
                ],
            )
        )
    return drawn


def examples(sets, arrays):
    """Draws the first images of sets, a row each.

    Args:
        sets: iterable of str.
        arrays: dict of arrays, of which `images/SET` `[n, H, W, C]` are drawn.

    Returns:
        List of `Picture`s, of the sets that have images.
    """
    found = {name: arrays.get(f"images/{name}", ()) for name in sets}
    return [
        of_images(x[:_MOST_SHOWN], _MOST_SHOWN, f"Images of {name}", name)
        for name, x in found.items()
        if len(x)
    ]
