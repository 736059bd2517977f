import types

import numpy as np
import tensorflow as tf
from PIL import Image

from clel_tf.callbacks import SampleGrid
from clel_tf.images import make_grid
from clel_tf.samplers import ReplayBuffer


class Model:
    distribute_strategy = tf.distribute.get_strategy()

    def __init__(self, step):
        self.step = types.SimpleNamespace(numpy=lambda: step)
        self.replay_buffer = ReplayBuffer(9)
        self.replay_buffer.build((None, 48, 48, 1))

    def sample(self, n, seed):
        return np.full((n, 48, 48, 1), seed / 256.0 + 0.001)


def pictures(folder, step):
    grid = SampleGrid(folder, every=3, num_images=4, seed=7)
    grid.set_model(Model(step))
    grid.on_train_batch_end(0)
    return grid.model, {path.name: path for path in folder.iterdir()}


def test_draws_fresh_samples_and_the_buffers_first_chains(tmp_path):
    model, files = pictures(tmp_path, step=6)
    assert set(files) == {"step_000006.png", "buffer_000006.png"}
    for name, images in (
        ("step", model.sample(4, seed=7)),
        ("buffer", model.replay_buffer.images[:4]),
    ):
        with Image.open(files[f"{name}_000006.png"]) as picture:
            expected = make_grid(images, columns=2)[..., 0]
            np.testing.assert_array_equal(picture, expected)


def test_draws_nothing_between(tmp_path):
    assert not pictures(tmp_path, step=7)[1]
