"""scikit-learn's handwritten digits: 8x8 pixels, 17 levels, no download."""

import numpy as np

from clel_tf.data.image_data import ImageData

LEVELS = 17  # pixel values are 0 to 16, both included
NUM_TEST = 360


def load_digits():
    """Loads the digits: 1,437 to train, 360 to test, ten classes.

    The split is `train_test_split(test_size=360, stratify=target,
    random_state=0)`, so that every class is in both parts alike.

    Returns:
        `ImageData` of shape `(8, 8, 1)` with 17 levels.

    Example:

    >>> data = load_digits()
    >>> data.x_train.shape, data.x_test.shape, data.levels
    ((1437, 8, 8, 1), (360, 8, 8, 1), 17)

    Reference:
        [Alpaydin and Kaynak: Optical Recognition of Handwritten Digits, UCI
        Machine Learning Repository, 1998](https://doi.org/10.24432/C50P49)
    """
    # Imported here, as it takes a second that other data need not wait for.
    from sklearn import datasets
    from sklearn import model_selection

    digits = datasets.load_digits()
    images = digits.images.astype(np.uint8)[..., np.newaxis]
    labels = digits.target.astype(np.int64)
    x_train, x_test, y_train, y_test = model_selection.train_test_split(
        images, labels, test_size=NUM_TEST, stratify=labels, random_state=0
    )
    names = tuple(str(name) for name in digits.target_names)
    return ImageData(
        "digits", x_train, y_train, x_test, y_test, LEVELS, class_names=names
    )
