import csv
import os
import pathlib
import time
from typing import Any

import keras
import tensorflow as tf

from clel_tf import files
from clel_tf import workers
from clel_tf.backend import require_tensorflow


class MetricsLogger(keras.callbacks.Callback):
    """Writes training's values to `metrics.csv`, `timing.csv` and TensorBoard.

    A row of `metrics.csv` holds one step's own values, not a running mean, and
    depends on the run's seed alone; times are in `timing.csv`. Both files are
    appended to, after rows beyond the model's step have been cut: a run that
    continues from a checkpoint leaves the file that an uninterrupted one would.
    Rows of `metrics.csv` are on the disk before training goes on. Of several
    workers the chief writes.

    Args:
        directory: str or path of an existing directory.
        batch_size: int. Images a step, for the images per second.
        every: int. Steps between two rows; the last step has one too.

    Example:

    >>> import tempfile
    >>> logger = clel_tf.callbacks.MetricsLogger(tempfile.mkdtemp(), 64)
    """

    def __init__(
        self,
        directory: os.PathLike[str] | str,
        batch_size: int,
        every: int = 10,
    ):
        require_tensorflow("MetricsLogger")
        super().__init__()
        self.directory = pathlib.Path(directory)
        self.batch_size = batch_size
        self.every = every

    def on_train_begin(self, logs=None):
        self._metrics: Any = None  # a table, on the chief

    def on_epoch_begin(self, epoch, logs=None):
        # Not as training begins: another callback may load a checkpoint then.
        is_chief = workers.is_chief(self.model.distribute_strategy)
        if self._metrics is None and is_chief:
            self._open()

    def _open(self):
        step = int(self.model.step.numpy())
        names = ["step", *(metric.name for metric in self.model.metrics)]
        times = ["step", "seconds", "images_per_second"]
        self._metrics = _Table(self.directory / "metrics.csv", names, step)
        self._timing = _Table(self.directory / "timing.csv", times, step)
        self._writer = tf.summary.create_file_writer(
            str(self.directory / "tensorboard")
        )
        self._previous = step, time.perf_counter()
        self._seen = step, None

    def on_train_batch_end(self, batch, logs=None):
        if self._metrics is None:
            return
        self._seen = int(self.model.step.numpy()), logs
        if self._seen[0] % self.every == 0:
            self._write(*self._seen)

    def on_train_end(self, logs=None):
        if self._metrics is None:
            return
        if self._seen[0] > self._previous[0]:
            self._write(*self._seen)
        self._metrics.close()
        self._timing.close()
        self._writer.close()

    def _write(self, step, logs):
        now = time.perf_counter()
        seconds = now - self._previous[1]
        rate = (step - self._previous[0]) * self.batch_size / seconds
        self._previous = step, now
        self._metrics.append({"step": step, **logs})
        # No checkpoint may outlive the rows before it.
        self._metrics.synchronize()
        self._timing.append(
            {"step": step, "seconds": seconds, "images_per_second": rate}
        )
        with self._writer.as_default(step):
            for name, value in logs.items():
                tf.summary.scalar(name, value)


class _Table:
    """A CSV file with a header, cut at a step and then appended to."""

    def __init__(self, path, names, last_step):
        rows = _rows_until(path, last_step) if path.exists() else []
        with files.new_file(path) as aside, aside.open("w", newline="") as new:
            writer = csv.DictWriter(new, names)
            writer.writeheader()
            writer.writerows(rows)
        self._file = path.open("a", newline="")
        self._writer = csv.DictWriter(self._file, names)

    def append(self, row):
        self._writer.writerow(row)
        self._file.flush()

    def synchronize(self):
        os.fsync(self._file.fileno())

    def close(self):
        self._file.close()


def _rows_until(path, last_step):
    with path.open(newline="") as file:
        return [
            row
            for row in csv.DictReader(file)
            # A process that was killed may have left half a line.
            if None not in row.values() and int(row["step"]) <= last_step
        ]
