import numpy as np
import pytest

from clel_tf.samplers import energies


class Planes:
    """A model whose latents are the first two pixels, made unit vectors."""

    def latents(self, images, views=0, seed=0):
        seen = np.reshape(images, (len(images), -1))[:, :2]
        seen = seen[:, ::-1] if views else seen  # its views are mirrored
        return seen / np.linalg.norm(seen, axis=1, keepdims=True)

    def energy_latents(self, images):
        return -self.latents(images)


def images_of(pixels):
    images = np.zeros((len(pixels), 2, 2, 1), "float32")
    images.reshape(-1, 4)[:, :2] = pixels
    return images


def test_means_are_normalised_after_the_latents_are():
    # Long and short vectors count alike: means of directions, not of pixels.
    images = images_of([[1.0, 0.0], [0.0, 0.1], [0.6, 0.8], [0.5, 0.0]])
    means, labels = energies.class_means(
        Planes(), images, [7, 7, 2, 2], views=0
    )
    assert labels.tolist() == [2, 7]
    expected = np.array([[1.6, 0.8], [1.0, 1.0]])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(means, expected, atol=1e-6)
    views, _ = energies.class_means(Planes(), images, [7, 7, 2, 2])
    np.testing.assert_allclose(views, expected[:, ::-1], atol=1e-6)
    other, _ = energies.class_means(
        Planes(), images, [7, 7, 2, 2], of="energy_network"
    )
    np.testing.assert_allclose(other, -expected, atol=1e-6)


def test_like_takes_one_image_or_one_a_row():
    images = images_of([[1.0, 0.0], [0.0, 0.5]])
    rows = energies.like(Planes(), images, beta=1.0)
    assert rows.latents.tolist() == [[1, 0], [0, 1]]
    views = energies.like(Planes(), images, beta=1.0, views=2)
    assert views.latents.tolist() == [[0, 1], [1, 0]]
    alone = energies.like(Planes(), images[1], ratio=3.0)
    assert alone.latents.tolist() == [0, 1]
    assert float(alone.ratio) == 3.0


def test_accuracy_is_of_the_nearest_mean():
    latents = np.array([[1.0, 0.1], [0.2, 1.0], [0.9, 0.3], [0.1, 1.0]])
    accuracy = energies.nearest_class_mean_accuracy(
        latents, [5, 9, 9, 9], np.eye(2), np.array([5, 9])
    )
    assert accuracy == 0.75


@pytest.mark.parametrize(
    ("labels", "of", "words"),
    [([0], "encoder", "label for each of 2"), ([0, 1], "pixels", "`of`")],
)
def test_bad_arguments_are_refused(labels, of, words):
    with pytest.raises(ValueError, match=words):
        energies.class_means(Planes(), images_of(np.eye(2)), labels, of=of)
