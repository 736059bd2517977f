import sys
import time
from typing import TextIO

import keras

from clel_tf import workers
from clel_tf.backend import require_tensorflow

_HEADER = (
    f"{'step':>14}  {'energy +':>9}  {'energy -':>9}  {'gap':>9}  "
    f"{'latent':>6}  {'images/s':>8}  {'left':>7}"
)


class ProgressTable(keras.callbacks.Callback):
    """Prints a row on training's progress every few seconds.

    Columns: step, energy of data and of chains, their gap (chains minus data),
    the cosine of `g(f(x))` with the encoder's latent, speed and time left. Of
    several workers the chief prints.

    Args:
        total_steps: int. The model's step at which training ends.
        batch_size: int. Images a step.
        interval: float. Seconds between rows.
        file: text file, by default standard output.

    Example:

    >>> table = clel_tf.callbacks.ProgressTable(1000, 64, interval=5.0)
    """

    def __init__(
        self,
        total_steps: int,
        batch_size: int,
        interval: float = 10.0,
        file: TextIO | None = None,
    ):
        require_tensorflow("ProgressTable")
        super().__init__()
        self.total_steps = total_steps
        self.batch_size = batch_size
        self.interval = interval
        self.file = file

    def on_train_begin(self, logs=None):
        self._is_chief = workers.is_chief(self.model.distribute_strategy)
        if self._is_chief:
            print(_HEADER, file=self.file or sys.stdout, flush=True)
        # Speed is taken from the end of the first call, which traces.
        self._start = self._printed = None

    def on_train_batch_end(self, batch, logs=None):
        step, now = int(self.model.step.numpy()), time.perf_counter()
        if self._start is None:
            self._start = step, now
        rate = (step - self._start[0]) / max(now - self._start[1], 1e-9)
        due = self._printed is None or now - self._printed >= self.interval
        if self._is_chief and (due or step >= self.total_steps):
            self._printed = now
            self._print(step, rate, logs)

    def _print(self, step, rate, logs):
        left, speed, latent = "-", "-", "-"
        if "latent_similarity" in logs:  # else nothing guides
            latent = f"{logs['latent_similarity']:.3f}"
        if rate:
            speed = f"{rate * self.batch_size:.0f}"
            left = _clock((self.total_steps - step) / rate)
        print(
            f"{step:>6} /{self.total_steps:>6}  "
            f"{logs['energy_positive']:>9.2e}  "
            f"{logs['energy_negative']:>9.2e}  {logs['energy_gap']:>+9.2e}  "
            f"{latent:>6}  {speed:>8}  {left:>7}",
            file=self.file or sys.stdout,
            flush=True,
        )


def _clock(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours}:{minutes:02}:{seconds:02}"
        if hours
        else (f"{minutes}:{seconds:02}")
    )
