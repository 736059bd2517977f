"""The two optimizers of a recipe, with their learning rate schedules."""

import keras

from clel_tf.optimizers.adam import Adam

# The paper's, as the reference sets them (CIFAR-10).
DEFAULTS = {
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
    warmup = options.pop("warmup_steps")
    final = options.pop("final_fraction")
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup else peak,
        warmup_target=peak if warmup else None,
        warmup_steps=warmup,
        decay_steps=max(steps - warmup, 1),
        alpha=final,
    )
    return {**options, "learning_rate": schedule}
