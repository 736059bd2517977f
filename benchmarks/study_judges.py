"""The data of the study's settings, and what judges samples of them."""

import keras
import numpy as np
import teachers

from clel_tf import files
from clel_tf import metrics
from clel_tf.metrics import DigitsEvaluator

CIFAR16 = "cifar16.npz"
_REFERENCES = 1000  # for precision and coverage, as many as samples
_NEIGHBOR = 3


def data_of(setting, folder, cifar10=None):
    """The spec of a setting's images, which are prepared if need be.

    Args:
        setting: str, "digits" or "cifar16".
        folder: `pathlib.Path`, where prepared files are.
        cifar10: path of an npz file of CIFAR-10 at 32x32, with `x_train`,
            `y_train`, `x_test` and `y_test`; needed where none is prepared.
    """
    if setting == "digits":
        return setting
    path = folder / CIFAR16
    if not path.is_file():
        if cifar10 is None:
            raise SystemExit("Expected --cifar10=FILE, of which to make 16x16.")
        with np.load(cifar10) as arrays:
            halved = {
                name: _halved(arrays[name]) if name[0] == "x" else arrays[name]
                for name in ("x_train", "y_train", "x_test", "y_test")
            }
        folder.mkdir(parents=True, exist_ok=True)
        with files.new_file(path) as aside, aside.open("wb") as file:
            np.savez(file, **halved)
    return f"npz:{path}"


def _halved(images):
    """Means of 2x2 pixels, as bytes."""
    n, height, width, channels = images.shape
    blocks = images.reshape(n, height // 2, 2, width // 2, 2, channels)
    return np.round(blocks.mean((2, 4))).astype(np.uint8)


def classifier(setting, images, folder):
    """The path of a setting's frozen teacher, which is made if need be."""
    path = folder / setting / "classifier.keras"
    if setting == "digits":
        return teachers.classifier(path)
    return teachers.classifier(path, images, (32, 64, 128), seed=1, epochs=10)


def judge(setting, images, folder):
    """A function from float images to a dict of figures.

    Of digits they are `DigitsEvaluator`'s, else those of the outputs of a
    classifier of its own, not the teacher's.

    Args:
        setting: str.
        images: `clel_tf.data.ImageData` of the setting.
        folder: `pathlib.Path`, where prepared files are.
    """
    if setting == "digits":
        return DigitsEvaluator(
            images.x_train, images.y_train, images.x_test, images.levels
        ).figures
    path = teachers.classifier(
        folder / setting / "judge.keras", images, (64, 128, 256), epochs=10
    )
    network = keras.saving.load_model(path, compile=False)
    extract = metrics.extractors.KerasFeatures(network)
    train = (images.x_train + np.float32(0.5)) / images.levels
    reference = np.concatenate(
        [extract(part).features for part in np.array_split(train, 20)]
    )
    moments = metrics.FeatureMoments().update(reference)
    chosen = reference[:: len(reference) // _REFERENCES][:_REFERENCES]

    def figures(samples):
        features = extract(samples).features
        balls = metrics.prdc(features, chosen, k=_NEIGHBOR)
        return {
            "frechet_distance": metrics.frechet_distance(features, moments),
            "precision": balls.precision,
            "coverage": balls.coverage,
        }

    return figures
