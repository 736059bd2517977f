from clel_tf.callbacks.training_state import copy_state
from clel_tf.callbacks.training_state import set_state


class TrainingSnapshot:
    """A copy, in the host's memory, of all that training changes.

    Of a model under `tf.distribute` it holds the chains of every replica. The
    counters of steps, reseeds and incidents are not restored: they only count
    up.

    Args:
        model: compiled `CLEL`.

    Example:

    >>> from clel_tf.callbacks.training_snapshot import TrainingSnapshot
    >>> model = clel_tf.models.CLEL.from_preset("digits")
    >>> model.compile()
    >>> snapshot = TrainingSnapshot(model)
    >>> snapshot.restore()
    >>> snapshot.step
    0
    """

    def __init__(self, model):
        self.model = model
        self.step = int(model.step.numpy())
        self._state = copy_state(model)

    def restore(self):
        """Gives the model back what it had, but its counters."""
        model = self.model
        counters = [model.step, model.reseeds, model.skipped_steps]
        counters += model.vital_signs.lasting
        lasting = [counter.numpy() for counter in counters]
        set_state(model, self._state)
        for counter, value in zip(counters, lasting):
            counter.assign(value)
