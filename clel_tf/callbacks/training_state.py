"""All that training changes in a model, as arrays in the host's memory."""

import numpy as np


def copy_state(model):
    """Copies the training state of a model; training may go on meanwhile.

    Both networks and their averages, all counters, both optimizers, and the
    chains of the replay buffer, those of every replica.

    Args:
        model: compiled `CLEL`.

    Returns:
        dict from names to NumPy arrays.

    Example:

    >>> model = clel_tf.models.CLEL.from_preset("digits")
    >>> model.compile()
    >>> state = copy_state(model)
    >>> state["replay_buffer/images"].shape
    (128, 8, 8, 1)
    >>> set_state(model, state)
    """
    state = {
        # A copy: on a CPU, the array of a variable may share its memory.
        name: _plain(np.array(variable.numpy()))
        for name, variable in _variables(model).items()
    }
    model.replay_buffer.save_own_variables(_Buffer(state))
    return state


def set_state(model, state):
    """Gives a model a training state; nothing of one that does not fit.

    Args:
        model: compiled `CLEL`.
        state: dict, as `copy_state` returns it.

    Raises:
        ValueError: if an array is missing, left over, or of another shape or
            dtype than the model's.
    """
    own, other = _kinds(copy_state(model)), _kinds(state)
    if own != other:
        name = min(n for n in {*own, *other} if own.get(n) != other.get(n))
        raise ValueError(
            f"Expected the state of a model of the same variables; {name} is "
            f"{own.get(name, 'missing')} here; received: "
            f"{other.get(name, 'missing')}."
        )
    for name, variable in _variables(model).items():
        variable.assign(state[name].view(np.dtype(variable.dtype)))
    model.replay_buffer.load_own_variables(_Buffer(state))


def _variables(model):
    """All variables but the buffer's, which gathers its shards by itself."""
    apart = {id(variable) for variable in model.replay_buffer.variables}
    parts = {
        "model": [v for v in model.weights if id(v) not in apart],
        "energy_optimizer": model.optimizer.variables,
        "encoder_optimizer": model.encoder_optimizer.variables,
    }
    return {
        f"{part}/{i:04}": variable
        for part, variables in parts.items()
        for i, variable in enumerate(variables)
    }


def _kinds(state):
    return {name: f"{a.dtype}{list(a.shape)}" for name, a in state.items()}


def _plain(array):
    """The bits of dtypes that are not NumPy's own, such as bfloat16."""
    if array.dtype.isbuiltin == 1:
        return array
    return array.view(f"uint{8 * array.itemsize}")


class _Buffer:
    """The replay buffer's part of a state, as a layer stores and loads it."""

    def __init__(self, state):
        self._state = state

    def __getitem__(self, name):
        return self._state[f"replay_buffer/{name}"]

    def __setitem__(self, name, array):
        self._state[f"replay_buffer/{name}"] = array
