"""Who judges steered digits: a classifier that no sample has seen."""

import numpy as np
from sklearn.svm import SVC

import clel_tf
from clel_tf.metrics import prdc


class Judge:
    """Digits, and a support vector classifier fitted on the training split.

    Attributes:
        x_train, x_test: float arrays `(n, 8, 8, 1)`, midpoints of the levels.
        y_train, y_test: integer arrays `(n,)`.
        accuracy: float, of the classifier on the test split.
    """

    def __init__(self):
        data = clel_tf.data.load("digits")
        self.x_train, self.x_test = (
            ((x + 0.5) / data.levels).astype("float32")
            for x in (data.x_train, data.x_test)
        )
        self.y_train, self.y_test = data.y_train, data.y_test
        self._classifier = SVC(gamma="scale")
        self._classifier.fit(_flat(self.x_train), self.y_train)
        self.accuracy = self.agreement(self.x_test, self.y_test)

    def labels(self, images):
        """The classes that images are judged to have."""
        return self._classifier.predict(_flat(images))

    def agreement(self, images, labels):
        """Share of images judged to have the labels."""
        return float(np.mean(self.labels(images) == labels))

    def coverage(self, images, label):
        """Coverage of a class's training images, and that of real images.

        Args:
            images: array `(n, 8, 8, 1)`, samples of the class.
            label: int.

        Returns:
            Tuple of two floats: the mean coverage of disjoint parts of the
            samples, each of as many as the class has test images, and the
            coverage of these.
        """
        train = _flat(self.x_train[self.y_train == label])
        real = _flat(self.x_test[self.y_test == label])
        count = min(len(real), len(images))
        samples = _flat(images)
        parts = [
            samples[i : i + count]
            for i in range(0, len(samples) - count + 1, count)
        ]
        covered = [prdc(x, train, k=3).coverage for x in parts]
        real = prdc(real[:count], train, k=3).coverage
        return float(np.mean(covered)), float(real)


def _flat(images):
    return np.reshape(images, (len(images), -1))
