import json
import os
import pathlib
from typing import Any

import keras

from clel_tf import files
from clel_tf import workers
from clel_tf.backend import require_tensorflow
from clel_tf.callbacks.divergence_error import DivergenceError
from clel_tf.callbacks.likely_causes import likely_causes
from clel_tf.callbacks.training_snapshot import TrainingSnapshot
from clel_tf.samplers.sampler import check

_SOFTENED = ("learning_rate", "step_size", None)
_UNDONE = 5  # steps in a row whose numbers are not finite: the state's fault
_IN_A_ROW = 20  # restorations fewer looks apart than this


class DivergenceGuard(keras.callbacks.Callback):
    """Takes training back to its last healthy state when it goes wrong.

    The model itself follows `clel_tf.models.vital_signs`: energies and their
    ratio, the gradient's norm, saturated pixels and moves of the chains, and
    numbers that are not finite, at every step and on the device. The guard
    looks at them every so many steps, and keeps two copies of what training
    changes in the host's memory: the last one, and the one before, which a
    whole interval without an incident has confirmed.

    A step whose numbers are not finite is undone by the model itself; the guard
    tells. If a sign departs from the usual, or five steps in a row are undone,
    it restores the confirmed copy, replay buffer and optimizers included, draws
    everything random anew (`reseeds`), and softens training: the learning rate
    or the chains' step size is multiplied by `factor`, the latter at the same
    temperature. The step goes on counting, and so does the data: those that
    came before the incident do not come again. Without an incident training is
    the same, bit for bit, as without the guard.

    Each incident is one printed line and one of `incidents.jsonl`. Checkpoints
    hold statistics, softening, reseeds and counts; the copies are of a process,
    and one that goes on from a checkpoint begins with that state.

    Put it before callbacks that save, and let it look whenever they do. Several
    workers decide alike, from the same means; the chief tells.

    Args:
        directory: str or path of an existing directory, for `incidents.jsonl`,
            or None for none. Lines beyond the model's step are cut.
        every: int >= 1. Steps between two looks, and between two copies.
        soften: "learning_rate" (of both networks), "step_size" (of the chains)
            or None for neither.
        factor: float in (0, 1). What a restoration multiplies that by.
        max_restorations: int >= 0. After so many in a row, each less than 20
            looks after the one before, the next incident ends training.

    Raises:
        DivergenceError: in training, when it gives up.

    Example:

    >>> guard = clel_tf.callbacks.DivergenceGuard(every=100, factor=0.3)
    """

    def __init__(
        self,
        directory: os.PathLike[str] | str | None = None,
        every: int = 50,
        soften: str | None = "learning_rate",
        factor: float = 0.5,
        max_restorations: int = 5,
    ):
        require_tensorflow("DivergenceGuard")
        super().__init__()
        options = " or ".join(map(repr, _SOFTENED))
        for name, value, valid, expected in (
            ("every", every, _is_count(every, 1), "an int of at least 1"),
            ("soften", soften, soften in _SOFTENED, options),
            ("factor", factor, 0 < factor < 1, "in (0, 1)"),
            (
                "max_restorations",
                max_restorations,
                _is_count(max_restorations, 0),
                "an int of at least 0",
            ),
        ):
            check(name, value, valid, expected)
        self.path = None
        if directory:
            self.path = pathlib.Path(directory) / "incidents.jsonl"
        self.every = every
        self.soften = soften
        self.factor = factor
        self.max_restorations = max_restorations

    def set_model(self, model):
        if not hasattr(model, "vital_signs"):
            raise TypeError(
                "Expected a `CLEL`, which keeps vital signs; received: "
                f"{type(model).__name__}."
            )
        if self.soften == "step_size" and not hasattr(model.sampler, "scaled"):
            raise TypeError(
                "Expected a sampler whose steps can be scaled, such as SGLD, "
                f"to soften the step size; received: {model.sampler}."
            )
        super().set_model(model)

    def on_train_begin(self, logs=None):
        self._confirmed: Any = None  # a snapshot, in training

    def on_epoch_begin(self, epoch, logs=None):
        # Not as training begins: another callback may load a checkpoint then.
        if self._confirmed is None:
            self._begin()

    def _begin(self):
        incident = self.model.vital_signs.read()
        if incident and incident.signs:
            # It went wrong unguarded: what was usual then may not be now.
            self.model.vital_signs.reset()
        self._confirmed = TrainingSnapshot(self.model)
        self._seen = self._confirmed.step
        self._last = None
        if self._is_chief():
            self._cut(self._confirmed.step)

    def on_train_batch_end(self, batch, logs=None):
        # At multiples, as checkpoints are made, wherever training began.
        step = self._step()
        if step // self.every > self._seen // self.every and self._look():
            self._confirmed = self._last or self._confirmed
            self._last = TrainingSnapshot(self.model)

    def on_train_end(self, logs=None):
        if self._confirmed is not None:
            self._look()

    def _look(self):
        """Sees to what went wrong; whether the state is one to keep."""
        self._seen = seen_at = self._step()
        vitals = self.model.vital_signs
        incident = vitals.read()
        if incident is None:
            return True
        damaged = bool(incident.signs) or incident.undone_in_a_row >= _UNDONE
        if damaged:
            self._restore(incident, seen_at)
        vitals.forget()
        vitals.incidents.assign_add(1)
        record = self._record(incident, seen_at, damaged)
        self._tell(record)
        if record["action"] == "gave up":
            raise DivergenceError(_diagnosis(record))
        return not damaged

    def _restore(self, incident, step):
        vitals = self.model.vital_signs
        self._confirmed.restore()
        self._last = None
        self.model.reseeds.assign_add(1)
        if step - int(vitals.restored_at.numpy()) >= _IN_A_ROW * self.every:
            vitals.restorations.assign(0)
        vitals.restorations.assign_add(1)
        vitals.restored_at.assign(step)
        # No softer step makes images finite.
        if self.soften and not incident.faults["images"]:
            scale = getattr(vitals, f"{self.soften}_scale")
            scale.assign(scale * self.factor)

    def _record(self, incident, seen_at, damaged):
        """An incident, and what was done about it, for JSON."""
        vitals, record = self.model.vital_signs, incident._asdict()
        record |= {"seen_at": seen_at, "action": "undone"}
        if damaged:
            count = int(vitals.restorations.numpy())
            gave_up = count > self.max_restorations
            record |= {
                "action": "gave up" if gave_up else "restored",
                "restored_step": self._confirmed.step,
                "restorations": count,
                "reseeds": int(self.model.reseeds.numpy()),
                "learning_rate_scale": float(
                    vitals.learning_rate_scale.numpy()
                ),
                "step_size_scale": float(vitals.step_size_scale.numpy()),
            }
        return record | {"likely_causes": likely_causes(incident)}

    def _tell(self, record):
        if not self._is_chief():
            return
        print(_line(record), flush=True)
        if self.path:
            with self.path.open("a") as file:
                file.write(json.dumps(record) + "\n")
                # No checkpoint may outlive the incidents before it.
                file.flush()
                os.fsync(file.fileno())

    def _step(self):
        return int(self.model.step.numpy())

    def _is_chief(self):
        return workers.is_chief(self.model.distribute_strategy)

    def _cut(self, step):
        if not (self.path and self.path.exists()):
            return
        lines = self.path.read_text().splitlines(keepends=True)
        # A process that was killed may have left half a line.
        whole = [line for line in lines if line.endswith("\n")]
        kept = [line for line in whole if json.loads(line)["seen_at"] <= step]
        with files.new_file(self.path) as aside:
            aside.write_text("".join(kept))


def _line(record):
    """An incident in one line for people."""
    found = [
        f"{name} {sign['value']:.2g}, usually {sign['usual']:.2g} and not "
        f"beyond {sign['allowed']:.2g}"
        for name, sign in record["signs"].items()
    ]
    found += [
        f"{name} not finite in {count} step{'s' * (count > 1)}"
        for name, count in record["faults"].items()
        if count
    ]
    return (
        f"Training went wrong at step {record['step']}: {'; '.join(found)}. "
        f"{_remedy(record)} Likely cause: {record['likely_causes'][0]}."
    )


def _remedy(record):
    if record["action"] == "undone":
        return "What such a step changed was undone."
    return (
        f"Restored step {record['restored_step']}, reseeded; learning rate x "
        f"{record['learning_rate_scale']:.3g}, step size x "
        f"{record['step_size_scale']:.3g} (restoration "
        f"{record['restorations']} in a row)."
    )


def _diagnosis(record):
    return (
        f"Training went wrong at step {record['step']} again, after "
        f"{record['restorations'] - 1} restorations in a row; the model holds "
        f"the state of step {record['restored_step']}. Likely causes: "
        f"{'; '.join(record['likely_causes'])}."
    )


def _is_count(value, least):
    return isinstance(value, int) and value >= least
