import os
import pathlib

import keras

from clel_tf import workers
from clel_tf.backend import require_tensorflow
from clel_tf.images import save_grid


class SampleGrid(keras.callbacks.Callback):
    """Draws pictures of samples at regular steps of training.

    Writes `step_000200.png` and so on: fresh samples, of the averaged energy
    network from uniform noise, always with the same seed, so that pictures
    compare. Beside each, `buffer_000200.png` shows the replay buffer's first
    chains. Of several workers the chief draws, and the others wait.

    Args:
        directory: str or path of an existing directory.
        every: int. Steps between two pictures.
        num_images: int. Images in a picture.
        seed: int. Seed of the samples.

    Example:

    >>> import tempfile
    >>> grid = clel_tf.callbacks.SampleGrid(tempfile.mkdtemp(), every=200)
    """

    def __init__(
        self,
        directory: os.PathLike[str] | str,
        every: int,
        num_images: int = 64,
        seed: int = 0,
    ):
        require_tensorflow("SampleGrid")
        super().__init__()
        self.directory = pathlib.Path(directory)
        self.every = every
        self.num_images = num_images
        self.seed = seed

    def on_train_batch_end(self, batch, logs=None):
        step = int(self.model.step.numpy())
        is_chief = workers.is_chief(self.model.distribute_strategy)
        if step % self.every == 0 and is_chief:
            fresh = self.model.sample(self.num_images, seed=self.seed)
            chains = self.model.replay_buffer.first(self.num_images)
            for name, images in (("step", fresh), ("buffer", chains)):
                save_grid(images, self.directory / f"{name}_{step:06}.png")
