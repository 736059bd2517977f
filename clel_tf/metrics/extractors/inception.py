"""The standard features of the Frechet inception distance."""

import numpy as np
import tensorflow as tf

from clel_tf.backend import require_tensorflow
from clel_tf.metrics.extractors.features import Features
from clel_tf.metrics.extractors.images import as_bytes
from clel_tf.metrics.extractors.inception_network import SIDE
from clel_tf.metrics.extractors.inception_network import inception_network
from clel_tf.metrics.extractors.inception_weights import find_weights
from clel_tf.metrics.extractors.inception_weights import read_weights


class Inception:
    """The standard FID Inception, of 2015-12-05; see `extractors`.

        pool_3((resize(bytes) - 128)/128)

    Its pooled features, 2048, give the Frechet and the kernel inception
    distance, its 1008 logits, without their bias, the inception score: of the
    same bytes as the published tools, the resizing included (TensorFlow 1's
    bilinear one to 299x299, which is not that of other libraries). Gray images
    are taken as colours of three equal channels. See docs/inception.md for the
    file of weights, which is not downloaded.

    Args:
        weights: str, path or None. The original's frozen graph
            `classify_image_graph_def.pb`, or its conversion to PyTorch
            `pt_inception-2015-12-05-6726825d.pth`, which needs PyTorch. By
            default the file that the environment variable `CLEL_TF_INCEPTION`
            names, or else
            `~/.cache/clel_tf/inception/classify_image_graph_def.pb`.
        allow_unknown: bool. Whether other files of that layout are taken than
            those of the known SHA-256.

    Raises:
        FileNotFoundError: if there is no file; says where to get it.
        ImportError: if PyTorch is needed and not installed.
        ValueError: if the file is another one, or images are not of 1 or 3
            channels.

    Example:

        extractor = extractors.Inception()
        samples = extractors.extract(extractor, model.sample(10_000))
        data = extractors.extract(extractor, cifar10.x_train)
        metrics.frechet_distance(samples.features, data.features)

    Reference:
        [Heusel et al.: GANs Trained by a Two Time-Scale Update Rule Converge
        to a Local Nash Equilibrium, NeurIPS 2017](
        https://arxiv.org/abs/1706.08500);
        [Szegedy et al.: Rethinking the Inception Architecture for Computer
        Vision, CVPR 2016](https://arxiv.org/abs/1512.00567)
    """

    name = "inception"

    def __init__(self, weights=None, allow_unknown=False):
        require_tensorflow("Inception")
        path = find_weights(weights)
        arrays, self._sha256 = read_weights(path, allow_unknown)
        self._network = inception_network(arrays)
        bytes_ = tf.TensorSpec([None, None, None, 3], tf.uint8)
        # One trace for batches and images of all sizes.
        self._infer = tf.function(
            self._forward, input_signature=[bytes_], autograph=False
        )

    def __call__(self, images):
        images = as_bytes(images)
        if images.shape[-1] not in (1, 3):
            raise ValueError(
                "Expected images of 1 or 3 channels; received: shape "
                f"{images.shape}."
            )
        colours = np.broadcast_to(images, (*images.shape[:3], 3))
        features, logits = self._infer(colours)
        return Features(features.numpy(), logits.numpy())

    def identity(self):
        """dict of the name, the file's SHA-256 and the settings."""
        return {
            "name": self.name,
            "sha256": self._sha256,
            "resize": "TensorFlow 1 bilinear to 299x299",
            "logits": "without bias",
        }

    def _forward(self, images):
        resized = tf.raw_ops.ResizeBilinear(
            images=tf.cast(images, tf.float32),
            size=[SIDE, SIDE],
            align_corners=False,
            half_pixel_centers=False,
        )
        return self._network((resized - 128.0) / 128.0, training=False)
