"""A chain's time a step, against what it grows with."""

from typing import NamedTuple

import chains
import timing

from clel_tf.models import CLEL
from clel_tf.models import EnergyResNet
from clel_tf.models import ResNetEncoder
from clel_tf.samplers import ReplayBuffer


class Setting(NamedTuple):
    """One chain; each one measured differs from the default in one field.

    Attributes:
        image_size: int. Height and width, of three channels.
        width: int. Channels of each of the network's three stages.
        steps: int. Langevin steps a call.
        batch: int. Number of chains.
    """

    image_size: int = 16
    width: int = 32
    steps: int = 20
    batch: int = 16


def measure(scale):
    """Times chains of several image sizes, widths, lengths and batches.

    Args:
        scale: `scales.Scale`.

    Returns:
        dict: "rows", one a setting, with "milliseconds_per_step" as a spread
        and "against", the name of the field that it differs in.
    """
    against = {
        "image_size": scale.growth_image_sizes,
        "width": scale.growth_widths,
        "steps": scale.growth_steps,
        "batch": scale.growth_batches,
    }
    settings = {
        (field, value): Setting(**{field: value})
        for field, values in against.items()
        for value in values
    }
    different = dict.fromkeys(settings.values())
    functions = {setting: chain(setting) for setting in different}
    seconds = timing.interleaved(functions, scale.growth_rounds)
    return {
        "rows": [
            {"against": field, **setting._asdict()}
            | _per_step(seconds[setting], setting.steps)
            for (field, _), setting in settings.items()
        ]
    }


def chain(setting):
    """A function that draws a setting's images."""
    shape = (setting.image_size, setting.image_size, 3)
    latent = {"latent_dim": 16}
    model = CLEL(
        EnergyResNet(shape, (setting.width,) * 3, (1, 1, 1), seed=0, **latent),
        ResNetEncoder(shape, widths=(8,), depths=(1,), head_width=16, **latent),
        replay_buffer=ReplayBuffer(capacity=1),
    )
    return chains.chain(model, setting.batch, setting.steps, "auto")


def _per_step(seconds, steps):
    return {"milliseconds_per_step": timing.spread(1e3 * seconds / steps)}
