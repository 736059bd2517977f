"""Means of pairs of images: unlike any image, yet of natural pixels."""

from clel_tf.data.image_data import ImageData
from clel_tf.data.streamed_images import StreamedImages

DISTANCE = 100  # between the images of a pair, as in the paper


def interpolate(data):
    """Averages images i and i + 100, in training and test images each.

        x_i <- (x_i + x_{i + 100}) / 2,   i = 0, ..., N - 101

    Means are pixel values again, so halves are rounded to the even value:
    half a level at most, and neither darker nor lighter on average. Pairs are
    those of the order of `data`; that of TensorFlow Datasets is another one
    than the files'.

    Args:
        data: `ImageData` of more than 100 images in each part.

    Returns:
        `ImageData` of 100 images less in each part, without labels; streamed
        where `data` is.

    Raises:
        ValueError: If there are too few images.

    Example:

    >>> values = np.arange(102, dtype=np.uint8).reshape(-1, 1, 1, 1)
    >>> interpolate(ImageData("ramp", values)).x_train.ravel()
    array([50, 51], dtype=uint8)

    Reference:
        [Lee et al.: Guiding Energy-based Models via Contrastive Latent
        Variables, 2023](https://arxiv.org/abs/2303.03023), out-of-distribution
        detection with CIFAR-10 interpolation
    """
    return ImageData(
        f"interpolate:{data.spec}",
        _pair(data.x_train, f"x_train of {data.spec}"),
        x_test=_pair(data.x_test, f"x_test of {data.spec}"),
        levels=data.levels,
    )


def _pair(images, name):
    if images is None:
        return None
    count = len(images) - DISTANCE
    if count < 1:
        raise ValueError(
            f"Expected more than {DISTANCE} images in {name}; received: "
            f"{len(images)}."
        )
    if isinstance(images, StreamedImages):
        return StreamedImages(
            lambda rows: mean_of_bytes(images[rows], images[rows + DISTANCE]),
            (count, *images.shape[1:]),
        )
    return mean_of_bytes(images[:count], images[DISTANCE:])


def mean_of_bytes(first, second):
    """Mean of bytes, by bytes: a sum would need twice the memory."""
    odd = first ^ second  # whose last bit is that of the sum
    half = (first & second) + (odd >> 1)
    return half + (odd & half & 1)
