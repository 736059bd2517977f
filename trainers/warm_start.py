"""A beginning of training at another run's end."""

from clel_tf.models.common import refresh_spectral
from clel_tf.trainers import runs

_NETWORKS = (
    "energy_network",
    "encoder",
    "ema_energy_network",
    "ema_encoder",
)


def warm_start(model, workdir):
    """Gives a model the weights, averages and chains of a finished run.

    The teacher's own weights too, if that run's is of the same kind. Step and
    optimizers begin anew, as the schedules of learning rates do.

    Args:
        model: `CLEL`, whose networks and buffer are of the same sizes.
        workdir: str or path. The `--workdir` of that run.

    Raises:
        FileNotFoundError: if there is no finished run.
        ValueError: if its networks or its buffer are of other sizes.
    """
    trained = runs.load_model(workdir)
    for name in _NETWORKS:
        old, new = getattr(trained, name), getattr(model, name)
        if new is None:
            continue
        if old is None:
            raise ValueError(
                f"Expected a run with an encoder in {workdir}, as this one has;"
                " received one without a teacher."
            )
        shapes = [[w.shape for w in n.get_weights()] for n in (old, new)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"Expected the {name} of {workdir} to be of the same size as "
                f"this run's; received: {old.count_params()} weights there, "
                f"{new.count_params()} here."
            )
        new.set_weights(old.get_weights())
        # The stored kernels are of the precision of their network.
        refresh_spectral(new)
    _warm_start_teacher(model.teacher, trained.teacher)
    chains: dict = {}
    trained.replay_buffer.save_own_variables(chains)
    model.replay_buffer.load_own_variables(chains)
    model.energy_scale.assign(trained.known_energy_scale())


def _warm_start_teacher(new, old):
    if type(new) is not type(old) or new is None:
        return
    weights = old.get_weights()
    if [w.shape for w in weights] == [w.shape for w in new.get_weights()]:
        new.set_weights(weights)
