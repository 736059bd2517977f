import pathlib

import keras

from clel_tf import files


class Checkpoints(keras.callbacks.Callback):
    """Saves all that training needs to continue, at regular steps and the end.

    A checkpoint is a `.weights.h5` file of the model: both networks and their
    averages, both optimizers, the replay buffer and the step. With data whose
    order is a function of (seed, step), as `clel_tf.data` gives it, a model
    that `restore` has loaded continues as if it had never stopped.

    Args:
        directory: str or path of an existing directory.
        every: int. Steps between two checkpoints.
        keep: int. How many checkpoints are kept.

    Example:

    >>> import tempfile
    >>> checkpoints = clel_tf.callbacks.Checkpoints(tempfile.mkdtemp(), 200)
    """

    def __init__(self, directory, every, keep=2):
        super().__init__()
        self.directory = pathlib.Path(directory)
        self.every = every
        self.keep = keep

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.step.numpy()) % self.every == 0:
            self._save()

    def on_train_end(self, logs=None):
        if int(self.model.step.numpy()) % self.every:
            self._save()

    def _save(self):
        step = int(self.model.step.numpy())
        path = self.directory / f"step_{step:09}.weights.h5"
        with files.new_file(path) as aside:
            self.model.save_weights(aside)
        for old in self._paths()[: -self.keep]:
            old.unlink()

    def restore(self, model):
        """Loads the newest checkpoint into a compiled model, if there is one.

        Args:
            model: compiled `CLEL`.

        Returns:
            int. The step to continue from; 0 if there is no checkpoint.
        """
        paths = self._paths()
        if paths:
            model.load_weights(paths[-1])
        return int(model.step.numpy())

    def _paths(self):
        return sorted(self.directory.glob("step_*.weights.h5"))
