from clel_tf.models.vital_signs import SATURATION

_DATA = "images that are not finite: look at the data"
_OVERFLOW = (
    "numbers that overflow: a learning rate that is too high, or float16"
)
_CHAINS = (
    "damaged chains in the replay buffer: they departed, the energy of data "
    "did not"
)
_STEP = (
    "Langevin steps too large for the energy's gradient: lower "
    "sampler.step_size, and sampler.noise_scale with its square root"
)
_BEHIND = (
    "chains that do not reach low energies: more sampler.num_steps, or chains "
    "that begin anew more often"
)
_HOLES = (
    "chains that find energies below the data's: a learning rate too high for "
    "the batch size, or alpha too low"
)
_RATE = (
    "a learning rate that is too high, or too short a warm-up: "
    "recipe.energy_optimizer.learning_rate and warmup_steps"
)
_OF_CHAINS = {"energy_negative", "chain_saturation", "chain_travel"}


def likely_causes(incident):
    """What may have caused an incident of training, the likeliest first.

    Args:
        incident: `clel_tf.models.vital_signs.Incident`.

    Returns:
        List of str.

    Example:

    >>> from clel_tf.callbacks.likely_causes import likely_causes
    >>> from clel_tf.models.vital_signs import Incident
    >>> faults = {"images": 1, "chains": 0, "losses": 1}
    >>> likely_causes(Incident(7, {}, faults, undone_in_a_row=0))
    ['images that are not finite: look at the data']
    """
    if incident.faults["images"]:
        return [_DATA]
    causes = []
    if any(incident.faults.values()):
        causes.append(_OVERFLOW)
    high = {n for n, s in incident.signs.items() if s["value"] > s["allowed"]}
    departed = set(incident.signs)
    if _are_thrown(incident, high):
        causes += [_RATE, _STEP]
    elif departed & {"energy_positive", "gradient_norm"}:
        causes.append(_RATE)
    elif departed & _OF_CHAINS:
        causes.append(_CHAINS)
    if "energy_gap" in departed:
        causes.append(_BEHIND if "energy_gap" in high else _HOLES)
    return causes


def _are_thrown(incident, high):
    """Whether chains jump, or have been thrown to the bounds of all pixels."""
    saturation = incident.signs.get("chain_saturation", {"value": 0.0})
    return "chain_displacement" in high or saturation["value"] > SATURATION
