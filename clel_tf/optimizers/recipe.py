"""The two optimizers of a recipe, with their learning rate schedules."""

from typing import Any

import keras

from clel_tf.optimizers.adam import Adam

# The paper's, as the reference sets them (CIFAR-10).
DEFAULTS: dict[str, Any] = {
    "steps": 100_000,
    "batch_size": 64,
    "energy_optimizer": {
        "learning_rate": 1e-4,
        "warmup_steps": 2000,
        "final_fraction": 1.0,
        "beta_1": 0.0,
        "beta_2": 0.999,
        "epsilon": 1e-8,
    },
    "encoder_optimizer": {
        "learning_rate": 3e-2,
        "warmup_steps": 0,
        "final_fraction": 0.0,
        "momentum": 0.9,
    },
}


def from_recipe(recipe, total_steps=None):
    """Builds the optimizers of a recipe.

    Args:
        recipe: dict; what it lacks is the paper's.
        total_steps: int or None for the recipe's "steps". The schedules' end.

    Raises:
        ValueError: if an optimizer does not know an option.

    Returns:
        Tuple of the energy network's Adam and the encoder's SGD.
    """
    steps = total_steps or recipe.get("steps", DEFAULTS["steps"])
    energy, encoder = (
        {**DEFAULTS[name], **recipe.get(name, {})}
        for name in ("energy_optimizer", "encoder_optimizer")
    )
    return (
        _build("energy_optimizer", Adam, energy, steps),
        _build("encoder_optimizer", keras.optimizers.SGD, encoder, steps),
    )


def _build(name, optimizer, options, steps):
    try:
        return optimizer(**_with_schedule(options, steps))
    except TypeError as error:
        raise ValueError(f"Recipe's {name}: {error}.") from error


def _with_schedule(options, steps):
    """Replaces a peak, a warm-up and a final fraction by their schedule."""
    options = dict(options)
    peak = options.pop("learning_rate")
    # The first of w warm-up steps has 1/w of the peak, not a rate of 0.
    ramp = max(options.pop("warmup_steps") - 1, 0)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=peak / (ramp + 1),
        warmup_target=peak if ramp else None,
        warmup_steps=ramp,
        decay_steps=max(steps - ramp, 1),
        alpha=options.pop("final_fraction"),
    )
    return {**options, "learning_rate": schedule}
