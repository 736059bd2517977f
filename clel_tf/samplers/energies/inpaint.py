import keras
import numpy as np
import tensorflow as tf

from clel_tf.samplers.energies.guidance import Guidance


@keras.saving.register_keras_serializable(package="clel_tf")
class Inpaint(Guidance):
    """Known pixels, kept exactly: inpainting.

        x <- mask * x + (1 - mask) * images     after every step

    adds no energy; the chain draws the masked pixels given the others.

    Args:
        images: float array `(h, w, c)` in [0, 1], or `(n, h, w, c)`.
        mask: bool or 0/1 array `(h, w, 1)` or `(h, w, c)`, or one a row: true
            where a pixel is to be painted.

    Example:

    >>> from clel_tf.samplers import energies
    >>> right_half = np.zeros((8, 8, 1))
    >>> right_half[:, 4:] = 1
    >>> term = energies.Inpaint(np.zeros((8, 8, 1)), right_half)
    """

    ranks = {"images": 3, "mask": 3}
    images: np.ndarray | tf.Tensor
    mask: np.ndarray | tf.Tensor
    is_constrained = True

    def __init__(self, images=None, mask=None):
        if images is not None and not tf.is_tensor(images):
            _check_floating(np.asarray(images))
        super().__init__(images=images, mask=mask)

    def validate(self):
        images, mask = self.images, self.mask
        if isinstance(mask, np.ndarray) and np.any((mask != 0) & (mask != 1)):
            raise ValueError("Expected a `mask` of 0 and 1.")
        if isinstance(images, np.ndarray) and images.size:
            if not (images.min() >= 0 and images.max() <= 1):
                raise ValueError(
                    "Expected `images` in [0, 1]; received values in "
                    f"[{images.min()}, {images.max()}]."
                )

    def check(self, setting):
        super().check(setting)
        shape = tuple(setting.image_shape)
        if self.images.shape[-3:] != shape:
            raise ValueError(
                f"Expected `images` of shape {shape}; received: "
                f"{self.images.shape}."
            )
        if self.mask.shape[-3:] not in (shape, (*shape[:2], 1)):
            raise ValueError(
                f"Expected a `mask` of shape {shape} or {(*shape[:2], 1)}; "
                f"received: {self.mask.shape}."
            )

    def value(self, seen, rows):
        return tf.zeros(tf.shape(seen.images)[:1])

    def project(self, images, rows):
        masked = rows[0]["mask"] > 0.5
        return tf.where(masked, images, rows[0]["images"])


def _check_floating(images):
    if not np.issubdtype(images.dtype, np.floating):
        raise TypeError(
            "Expected floating images in [0, 1] (of bytes of a data set: "
            "`clel_tf.data.dequantize(images, levels)`); received: "
            f"{images.dtype}."
        )
