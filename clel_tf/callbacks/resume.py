import os
import warnings
from typing import Any

import keras
import tensorflow as tf

from clel_tf.callbacks.checkpoints import Checkpoints
from clel_tf.data.image_data import ImageData


class Resume(Checkpoints):
    """Lets a `fit` that was stopped continue when its program runs again.

        resume = clel_tf.callbacks.Resume("checkpoints", every=200)
        batches = resume.batches(
            digits, batch_size=64, seed=0, steps_per_epoch=100)
        model.fit(batches, epochs=12, callbacks=[resume])

    On the data of `batches` it continues in the midst of an epoch, and ends
    with the weights and the buffer that an uninterrupted program would have, on
    CPUs bit for bit: they know their place from the model's step. On any other
    data it saves at the ends of epochs only, and an epoch that was stopped
    begins anew; it says so. Epochs are counted from the model's first step, so
    that a program whose work is done does nothing more.

    A changed model, optimizer or way through the data is refused. Put it after
    other callbacks, whose own state it does not keep.

    Args:
        directory: str or path; made if need be.
        every: int. Steps between two checkpoints.
        **options: of `Checkpoints`, but `configuration`.

    Example:

    >>> import tempfile
    >>> digits = clel_tf.data.load("digits")
    >>> resume = clel_tf.callbacks.Resume(tempfile.mkdtemp(), every=200)
    >>> resume.batches(digits, 64, seed=0, steps_per_epoch=100).cardinality()
    <tf.Tensor: shape=(), dtype=int64, numpy=100>
    """

    def __init__(
        self, directory: os.PathLike[str] | str, every: int, **options: Any
    ):
        super().__init__(directory, every, **options)
        self._data: dict | None = None
        self._first_step = 0

    def batches(
        self,
        data: ImageData,
        batch_size: int,
        seed: int,
        steps_per_epoch: int,
    ) -> tf.data.Dataset:
        """Batches for `fit`, which go on where the model stands.

        Args:
            data: `clel_tf.data.ImageData`.
            batch_size: int.
            seed: int. Seed of the images' order.
            steps_per_epoch: int. Batches that Keras calls an epoch.

        Returns:
            `tf.data.Dataset` of `steps_per_epoch` uint8 tensors of shape
            `[batch_size, H, W, C]`.
        """

        def epoch():
            batches = data.train(batch_size, seed, self._first_step)
            yield from batches.take(steps_per_epoch).as_numpy_iterator()

        self._data = {
            "spec": data.spec,
            "batch_size": batch_size,
            "seed": seed,
            "steps_per_epoch": steps_per_epoch,
        }
        return tf.data.Dataset.from_generator(
            epoch, output_signature=data.train(batch_size, seed).element_spec
        ).apply(tf.data.experimental.assert_cardinality(steps_per_epoch))

    def on_train_begin(self, logs=None):
        self.configuration = {"data": self._data, **_configuration(self.model)}
        newest = max(self._paths(), default=0)
        if newest and newest >= self._step():
            self._tell(self.restore(self.model))
        # Keras's own way for callbacks, as of `BackupAndRestore`.
        self.model._initial_epoch = self._epochs_done()
        super().on_train_begin(logs)

    def on_epoch_begin(self, epoch, logs=None):
        self.model._initial_epoch = None
        self._next_epoch = epoch + 1
        # Not read by the batches themselves: they are prepared ahead, on
        # replicas while steps are made.
        self._first_step = self._step()

    def on_train_batch_begin(self, batch, logs=None):
        super().on_train_batch_begin(batch, logs)
        if batch and self._data and self._epochs_done() >= self._next_epoch:
            # An epoch that was begun in its midst. Keras takes it for one whose
            # data ended early, of which it would warn.
            warnings.filterwarnings("ignore", "Your input ran out of data")
            raise tf.errors.OutOfRangeError(None, None, "The epoch is over.")

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        if self._data is None:
            self.save(epoch + 1)

    def on_train_end(self, logs=None):
        self.model._initial_epoch = None
        super().on_train_end(logs)

    def save(self, epoch=None):
        # Other data cannot be taken up in the midst of an epoch.
        if self._data or epoch is not None:
            super().save(epoch)

    def _epochs_done(self):
        if self._data is None:
            return self._epoch or 0
        return self._step() // self._data["steps_per_epoch"]

    def _tell(self, step):
        if not self._is_chief():
            return
        place = f"Continuing {self.directory} from step {step}"
        if self._data is None:
            place += (
                f", the beginning of epoch {self._epochs_done() + 1}. Only the "
                "data of `batches` are taken up where they were left; others "
                "may come in another order than they would have"
            )
        print(f"{place}.", flush=True)


def _configuration(model):
    parts = {
        "model": model.get_config(),
        "energy_optimizer": model.optimizer.get_config(),
        "encoder_optimizer": model.encoder_optimizer.get_config(),
    }
    return _without_state(keras.saving.serialize_keras_object(parts))


def _without_state(value):
    """Leaves out of a configuration what training or Keras's names change."""
    if isinstance(value, dict):
        return {
            name: _without_state(part)
            for name, part in value.items()
            if name not in ("name", "energy_scale")
            and not (name == "learning_rate" and isinstance(part, float))
        }
    if isinstance(value, (list, tuple)):
        return [_without_state(part) for part in value]
    return value
