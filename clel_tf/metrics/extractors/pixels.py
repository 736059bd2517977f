"""Pixels as features."""

from clel_tf.metrics.extractors.features import Features
from clel_tf.metrics.extractors.images import as_floats


class Pixels:
    """An image's own values in [0, 1] as its features; see `extractors`.

    Example:

    >>> from clel_tf.metrics import extractors
    >>> extractors.Pixels()(np.full((1, 1, 1, 3), 0.25)).features
    array([[0.25, 0.25, 0.25]])
    """

    name = "pixels"

    def __call__(self, images):
        images = as_floats(images)
        return Features(images.reshape(len(images), -1))

    def identity(self):
        """dict of the name; there is nothing else to tell."""
        return {"name": self.name, "sha256": None}
