"""Pictures that a page holds within itself."""

import base64
import io
import math
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from clel_tf.images import make_grid

BLUE, GREY = "#1f5fa8", "#98a2ad"
# Ten colours that most colour-blind eyes tell apart: Petroff, Accessible
# Color Sequences for Data Visualization, 2021 (arxiv.org/abs/2107.02270).
COLORS = (
    *("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6"),
    *("#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"),
)

_LEAST_SIDE = 48  # of an image on the page
_PER_INCH = 96  # pixels of a page
_SHARPNESS = 2  # dots of a bitmap for a pixel of the page
_STYLE: dict = {
    "font.size": 9,
    "axes.edgecolor": GREY,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "svg.hashsalt": "clel_tf",  # or the same plot had another text each time
}


class Picture(NamedTuple):
    """A picture of a page.

    Attributes:
        source: str. A URI that holds the picture's file.
        width: int. Pixels of the page.
        height: int.
        alt: str. What it shows, in words.
        caption: str. A name to stand beside it.
    """

    source: str
    width: int
    height: int
    alt: str
    caption: str = ""


def of_images(images, columns, alt, caption=""):
    """Lays images out in rows, enlarged by a whole factor where they are small.

    Args:
        images: float array `[n, H, W, C]`, n >= 1, C 1 or 3. Values outside of
            [0, 1], as of chains that diverged, are shown as the nearest end;
            what is not a number is black.
        columns: int, at least 1. Images in a row.
        alt: see `Picture`.
        caption: see `Picture`.

    Returns:
        `Picture`, a PNG.
    """
    images = np.clip(np.nan_to_num(images), 0.0, 1.0)
    scale = scale_of(images)
    pixels = make_grid(images.repeat(scale, 1).repeat(scale, 2), columns)
    height, width, channels = pixels.shape
    buffer = io.BytesIO()
    picture = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    picture.save(buffer, "PNG", optimize=True)
    return Picture(_uri("png", buffer), width, height, alt, caption)


def scale_of(images):
    """Pixels of the page that a pixel of images `[n, H, W, C]` is wide."""
    return math.ceil(_LEAST_SIDE / min(images.shape[1:3]))


def of_plot(draw, width, height, alt, caption="", kind="svg"):
    """Draws a plot.

    Args:
        draw: function of a `matplotlib.axes.Axes`.
        width: int. Pixels of the page.
        height: int.
        alt: see `Picture`.
        caption: see `Picture`.
        kind: "svg", or "png" for plots of more points than a text should hold.

    Returns:
        `Picture`.
    """
    buffer = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        size = width / _PER_INCH, height / _PER_INCH
        # No pyplot: nothing that outlives the figure, whatever backend is set.
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.add_subplot())
        figure.savefig(
            buffer,
            format=kind,
            dpi=_SHARPNESS * _PER_INCH,
            metadata={"Date": None} if kind == "svg" else None,
        )
    return Picture(_uri(kind, buffer), width, height, alt, caption)


def _uri(kind, buffer):
    name = {"svg": "svg+xml"}.get(kind, kind)
    text = base64.b64encode(buffer.getvalue()).decode()
    return f"data:image/{name};base64,{text}"
