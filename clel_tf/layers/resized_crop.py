"""Crops resized to the image's size, as products of matrices.

Reference:
    [Keys: Cubic Convolution Interpolation for Digital Image Processing, IEEE
    TASSP 1981](https://doi.org/10.1109/TASSP.1981.1163711)
"""

from keras import ops

_CUBIC_A = {
    "reference": -0.75,  # OpenCV's, and PyTorch's without antialiasing
    "torchvision": -0.5,  # Pillow's, and PyTorch's with antialiasing
}


def resized_crop(images, boxes, interpolation="bicubic", flavour="reference"):
    """Resamples a box of each image to the image's size.

        out = R x C^T    with one row matrix R, column matrix C for each image

    On a GPU that multiplies in TensorFloat-32 the result is rounded to 11 bits.

    Args:
        images: float32 tensor `[B, H, W, C]`.
        boxes: float32 tensor `[B, 4]`: top, left, height, width, in pixels;
            sides from 1 to the image's.
        interpolation: `"bicubic"` or `"bilinear"`.
        flavour: `"reference"` or `"torchvision"`, as of `RandomResizedCrop`.

    Returns:
        float32 tensor `[B, H, W, C]`.
    """
    _, height, width, channels = images.shape
    top, left, box_height, box_width = ops.unstack(boxes, axis=-1)
    kind = (interpolation, flavour)
    rows = resampling_matrix(top, box_height, height, *kind)
    columns = resampling_matrix(left, box_width, width, *kind)
    # Transposed once, so that both products are plain batched matmuls.
    images = ops.reshape(images, (-1, height, width * channels))
    images = ops.reshape(
        ops.matmul(rows, images), (-1, height, width, channels)
    )
    images = ops.transpose(images, (0, 2, 1, 3))
    images = ops.reshape(images, (-1, width, height * channels))
    images = ops.reshape(
        ops.matmul(columns, images), (-1, width, height, channels)
    )
    return ops.transpose(images, (0, 2, 1, 3))


def resampling_matrix(
    start, length, size, interpolation="bicubic", flavour="reference"
):
    """Builds the matrices that stretch segments of a line over the line.

    Output pixel i reads at

        "reference":    start + i (length - 1) / (size - 1)
        "torchvision":  start + (i + 1/2) length / size - 1/2

    and its weights are the kernel's at the four pixels around. Those of pixels
    outside of the segment count for the segment's border in "reference", and
    are shared out among the others in "torchvision".

    Args:
        start: float32 tensor `[B]`, the segments' first pixels.
        length: float32 tensor `[B]`, their numbers of pixels, at least 1.
        size: int. Number of pixels of the line.
        interpolation: `"bicubic"` or `"bilinear"`.
        flavour: `"reference"` or `"torchvision"`.

    Returns:
        float32 tensor `[B, size, size]` with rows that sum to 1.

    Example:

    >>> import keras
    >>> from clel_tf.layers.resized_crop import resampling_matrix
    >>> start, length = keras.ops.array([1.0]), keras.ops.array([2.0])
    >>> resampling_matrix(start, length, 3, "bilinear")[0].numpy()
    array([[0. , 1. , 0. ],
           [0. , 0.5, 0.5],
           [0. , 0. , 1. ]], dtype=float32)
    """
    start, length = start[:, None, None], length[:, None, None]
    index = ops.arange(size, dtype="float32")
    first = ops.floor(start)
    last = ops.minimum(ops.ceil(start + length - 1.0), size - 1.0)
    travel, steps = _travel(index[:, None], length, size, flavour)
    # Whole pixels and fractions apart: a fraction of a large float is coarse,
    # and how coarse depends on how the compiler divides.
    whole = ops.floor(travel / steps)
    fraction = start - first + (travel - whole * steps) / steps
    near = ops.arange(-1, 4, dtype="float32")  # fractions are within [0, 2]
    weights = KERNELS[interpolation](ops.abs(fraction - near), flavour)
    taps = first + whole + near
    inside = ops.clip(taps, first, last)
    if flavour == "torchvision":
        weights = ops.where(taps == inside, weights, 0.0)
        weights = weights / ops.sum(weights, axis=-1, keepdims=True)
    hits = ops.cast(inside[..., None] == index, "float32")
    return ops.sum(weights[..., None] * hits, axis=2)


def _travel(index, length, size, flavour):
    if flavour == "torchvision":
        return (index + 0.5) * length - 0.5 * size, size
    return index * (length - 1.0), max(size - 1, 1)


def _cubic(distance, flavour):
    a, d = _CUBIC_A[flavour], distance
    near = ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0
    far = a * (((d - 5.0) * d + 8.0) * d - 4.0)
    return ops.where(d <= 1.0, near, ops.where(d < 2.0, far, 0.0))


def _tent(distance, flavour):
    return ops.maximum(1.0 - distance, 0.0)


KERNELS = {"bicubic": _cubic, "bilinear": _tent}
