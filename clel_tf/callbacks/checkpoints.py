import json
import os
import pathlib
from concurrent import futures

import keras

from clel_tf import workers
from clel_tf.backend import require_tensorflow
from clel_tf.callbacks import checkpoint_file
from clel_tf.callbacks.training_state import copy_state
from clel_tf.callbacks.training_state import set_state
from clel_tf.differences import differences

_MODES = ("min", "max")


class Checkpoints(keras.callbacks.Callback):
    """Saves all that training needs to continue, at regular steps and the end.

    A checkpoint, `step_000000200.npz`, holds both networks and their averages,
    both optimizers, the replay buffer of every replica, the step, the best
    score and the configuration. With data whose order is a function of (seed,
    step), as `clel_tf.data` gives it, a model that `restore` has loaded
    continues as if it had never stopped; `Resume` does all of that by itself.

    State is copied between two steps and written beside the next ones. A file
    appears complete or not at all, and ends with its SHA-256: one that was torn
    or changed is told, and the one before it loaded. Those beyond the present
    step, which are of a course that was left, are removed as the next one is
    written. Of several workers all have to save at the same steps, and restore;
    the chief writes.

    Args:
        directory: str or path; made if need be.
        every: int. Steps between two checkpoints.
        keep: int. How many of the newest are kept.
        keep_every: int or None. Those of its multiples are kept for good.
        monitor: str or None. A value of epochs, such as "val_energy_gap"; the
            checkpoint of the epoch with the best is kept too.
        mode: "min" or "max": whether the least or the greatest is the best.
        configuration: dict for JSON, or None. What training is made of; the
            checkpoints of another one are refused.

    Attributes:
        best: dict of the best "value" of `monitor` and its "step", or None.

    Example:

    >>> import tempfile
    >>> checkpoints = clel_tf.callbacks.Checkpoints(tempfile.mkdtemp(), 200)
    """

    def __init__(
        self,
        directory: os.PathLike[str] | str,
        every: int,
        keep: int = 2,
        keep_every: int | None = None,
        monitor: str | None = None,
        mode: str = "min",
        configuration: dict | None = None,
    ):
        require_tensorflow(type(self).__name__)
        super().__init__()
        for name, value in (("every", every), ("keep", keep)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"Expected `{name}` to be a positive int; received: "
                    f"{value!r}."
                )
        if mode not in _MODES:
            raise ValueError(
                f"Expected `mode` to be one of {_MODES}; received: {mode!r}."
            )
        self.directory = pathlib.Path(directory)
        self.every = every
        self.keep = keep
        self.keep_every = keep_every
        self.monitor = monitor
        self.mode = mode
        self.configuration = configuration
        self.best: dict | None = None
        self._epoch = None  # if the newest checkpoint is of an epoch's end
        self._replicas = None  # of the checkpoint that was restored
        self._writer = futures.ThreadPoolExecutor(1)
        self._written: futures.Future | None = None

    def on_train_begin(self, logs=None):
        if self._is_chief():
            self.directory.mkdir(parents=True, exist_ok=True)
            for left in self.directory.glob(".*_step_*.npz"):
                left.unlink()  # by a process that was killed as it wrote
            self._tell_replicas()
        self._seen = self._step()

    def on_train_batch_begin(self, batch, logs=None):
        # Not at the end of a step: others note what belongs to it there first.
        if self._written and self._written.done():
            self.wait()
        if self._step() // self.every > self._seen // self.every:
            self.save()

    def on_epoch_end(self, epoch, logs=None):
        value = (logs or {}).get(self.monitor)
        if value is not None and self._is_better(value):
            self.best = {"value": float(value), "step": self._step()}
            self.save(epoch + 1)

    def on_train_end(self, logs=None):
        self.save()
        self.wait()

    def save(self, epoch=None):
        """Copies the model's state and begins to write it.

        Args:
            epoch: int or None. How many epochs end here.

        Raises:
            OSError: if the checkpoint before it could not be written.
        """
        step = self._step()
        if step == self._seen:
            return
        self.wait()
        record = {
            "step": step,
            "epoch": epoch,
            "best": self.best,
            "configuration": self.configuration,
            "replicas": self.model.distribute_strategy.num_replicas_in_sync,
        }
        state = copy_state(self.model)
        if self._is_chief():
            self._written = self._writer.submit(self._write, record, state)
        self._seen, self._epoch = step, epoch

    def wait(self):
        """Waits until what `save` began is on the disk.

        Raises:
            OSError: if it could not be written.
        """
        written, self._written = self._written, None
        if written:
            written.result()

    def restore(self, model):
        """Loads the newest whole checkpoint into a model, if there is one.

        Args:
            model: compiled `CLEL`.

        Returns:
            int. The step to continue from; 0 if there is no checkpoint.

        Raises:
            ValueError: if none of the checkpoints is whole, or the newest is
                of another configuration or model; then nothing is loaded.
        """
        found = self._newest()
        if found:
            record, state = found
            self._check(record)
            set_state(model, state)
            self._replicas = record.get("replicas")
            self.best, self._epoch = record["best"], record["epoch"]
        return int(model.step.numpy())

    def _newest(self):
        paths = self._paths()
        for path in reversed(paths.values()):
            try:
                return checkpoint_file.read(path)
            except ValueError as error:
                print(f"Skipping a checkpoint: {error}", flush=True)
        if paths:
            raise ValueError(
                f"Expected a whole checkpoint in {self.directory}; received: "
                f"{len(paths)}, all of them damaged. Remove them to begin anew."
            )
        return None

    def _check(self, record):
        if self.configuration is None:
            return
        asked = json.loads(json.dumps(self.configuration))
        found = differences(record["configuration"] or {}, asked)
        if found:
            raise ValueError(
                f"{self.directory} holds checkpoints of another configuration: "
                f"{'; '.join(found)}."
            )

    def _is_better(self, value):
        if self.best is None:
            return True
        sign = 1 if self.mode == "min" else -1
        return sign * value < sign * self.best["value"]

    def _write(self, record, state):
        path = self.directory / f"step_{record['step']:09}.npz"
        checkpoint_file.write(path, record, state)
        paths = self._paths()
        past = [step for step in paths if step <= record["step"]]
        kept = {*past[-self.keep :], (record["best"] or {}).get("step")}
        if self.keep_every:
            kept |= {step for step in past if step % self.keep_every == 0}
        for step, path in paths.items():
            if step not in kept:
                path.unlink()

    def _paths(self):
        """Paths of the checkpoints by their steps, in order."""
        paths = sorted(self.directory.glob(f"step_{'[0-9]' * 9}.npz"))
        return {int(path.stem.removeprefix("step_")): path for path in paths}

    def _tell_replicas(self):
        before = self._replicas
        now = self.model.distribute_strategy.num_replicas_in_sync
        if before not in (None, now):
            print(
                f"The checkpoint was made with {before} replicas, and training "
                f"goes on with {now}: weights and chains are the same, what is "
                "drawn from here on is not what it would have been.",
                flush=True,
            )

    def _step(self):
        return int(self.model.step.numpy())

    def _is_chief(self):
        return workers.is_chief(self.model.distribute_strategy)
