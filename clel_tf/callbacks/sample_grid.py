import pathlib

import keras

from clel_tf.images import save_grid


class SampleGrid(keras.callbacks.Callback):
    """Draws a picture of fresh samples at regular steps of training.

    Writes `step_000200.png` and so on: samples of the averaged energy network
    from uniform noise, always with the same seed, so that pictures compare.

    Args:
        directory: str or path of an existing directory.
        every: int. Steps between two pictures.
        num_images: int. Images in a picture.
        seed: int. Seed of the samples.

    Example:

    >>> import tempfile
    >>> grid = clel_tf.callbacks.SampleGrid(tempfile.mkdtemp(), every=200)
    """

    def __init__(self, directory, every, num_images=64, seed=0):
        super().__init__()
        self.directory = pathlib.Path(directory)
        self.every = every
        self.num_images = num_images
        self.seed = seed

    def on_train_batch_end(self, batch, logs=None):
        step = int(self.model.step.numpy())
        if step % self.every == 0:
            images = self.model.sample(self.num_images, seed=self.seed)
            save_grid(images, self.directory / f"step_{step:06}.png")
