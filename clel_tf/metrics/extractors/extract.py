"""Features of sets of any size."""

import numpy as np

from clel_tf.metrics.distances import as_features
from clel_tf.metrics.extractors.features import Features


def extract(extractor, images, batch_size=64, progress=None):
    """Runs an extractor over images, batch by batch; keeps features only.

    Args:
        extractor: see `clel_tf.metrics.extractors`.
        images: array or `clel_tf.data.StreamedImages` `[n, H, W, C]`, n >= 1,
            or an iterable of them; uint8, bytes, or float in [0, 1].
        batch_size: int, at least 1. Images given to the extractor at a time,
            at most.
        progress: function of an int, or None. Called after each batch with the
            number of images done.

    Returns:
        `Features` of all images, in their order.

    Raises:
        ValueError: if there are no images, or the extractor's values are not
            finite or not a row for each image.

    Example:

    >>> from clel_tf.metrics import extractors
    >>> images = np.zeros((5, 8, 8, 1), np.uint8)
    >>> found = extractors.extract(extractors.Pixels(), images, batch_size=2)
    >>> found.features.shape, found.logits
    ((5, 64), None)
    """
    if batch_size < 1:
        raise ValueError(f"Expected batch_size >= 1; received: {batch_size}.")
    features, logits, count = [], [], 0
    for batch in _batches(images, batch_size):
        found = extractor(batch)
        _check("features", found.features, extractor.name, len(batch))
        features.append(found.features)
        if found.logits is not None:
            _check("logits", found.logits, extractor.name, len(batch))
            logits.append(found.logits)
        count += len(batch)
        if progress is not None:
            progress(count)
    if not features:
        raise ValueError("Expected images; received none.")
    return Features(
        np.concatenate(features), np.concatenate(logits) if logits else None
    )


def _batches(images, batch_size):
    for part in [images] if hasattr(images, "shape") else images:
        for start in range(0, len(part), batch_size):
            yield part[start : start + batch_size]


def _check(what, values, name, count):
    rows = as_features(f"{what} of {name}", values, minimum=1)
    if len(rows) != count:
        raise ValueError(
            f"Expected {what} of {name} of {count} images; received: "
            f"{len(rows)} rows."
        )
