import signal
import sys
import threading

import keras

from clel_tf import workers
from clel_tf.callbacks.checkpoints import Checkpoints


class StopOnSignal(keras.callbacks.Callback):
    """Saves a checkpoint and ends the process when it is told to terminate.

    The steps of the call under way are made to their end, as `fit` has no way
    out of them. The process then ends with the status that shells give for the
    signal, 128 and its number. A second signal is not waited for.

    One of several workers cannot save without the others, who may not have been
    told: it ends, and training goes on from the checkpoint before.

    Outside of the main thread, which alone may handle signals, it does nothing.

    Args:
        checkpoints: `Checkpoints` of the same `fit`, listed before.
        number: signal. Defaults to SIGTERM, whose status is 143.

    Raises:
        SystemExit: in training, when the signal has come.

    Example:

    >>> import tempfile
    >>> resume = clel_tf.callbacks.Resume(tempfile.mkdtemp(), every=200)
    >>> stop = clel_tf.callbacks.StopOnSignal(resume)
    """

    def __init__(self, checkpoints: Checkpoints, number: int = signal.SIGTERM):
        super().__init__()
        self.checkpoints = checkpoints
        self.number = number

    def on_train_begin(self, logs=None):
        self._has_come = False
        self._handles = threading.current_thread() is threading.main_thread()
        if self._handles:
            # None, a handler that is not Python's, could not be set again.
            previous = signal.signal(self.number, self._note)
            self._previous = previous or signal.SIG_DFL

    def on_train_batch_begin(self, batch, logs=None):
        if self._has_come:
            self._stop()

    def on_train_end(self, logs=None):
        if self._handles:
            signal.signal(self.number, self._previous)
        if self._has_come:
            self._stop()

    def _note(self, number, frame):
        self._has_come = True
        signal.signal(number, self._previous)

    def _stop(self):
        if workers.are_several(self.model.distribute_strategy):
            way_on = "training goes on from the last checkpoint."
        else:
            self.checkpoints.save()
            way_on = (
                f"{self.checkpoints.directory} holds what is needed to "
                "continue."
            )
        self.checkpoints.wait()
        print(
            f"Stopped by {signal.Signals(self.number).name} at step "
            f"{int(self.model.step.numpy())}; {way_on}",
            flush=True,
        )
        sys.exit(128 + self.number)
