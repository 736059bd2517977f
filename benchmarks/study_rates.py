"""Seconds that a training step of each arm of the study takes on one core.

  python benchmarks/study_rates.py SETTING FOLDER [ARM ...]

Steps of the arms, or of all of the setting, in turn in one process, so that a
slow spell of the machine meets all of them; of each the median. Prints JSON.
"""

import json
import pathlib
import sys

import numpy as np
import study_cell
import study_grid
import timing
import training_step

from clel_tf import presets

_ROUNDS, _CALLS = 10, 3


def measure(setting, folder, arms):
    """dict from arms to seconds.

    Args:
        setting: str.
        folder: `pathlib.Path` of the study's runs.
        arms: iterable of str.
    """
    steps = {}
    for arm in arms:
        cell = study_grid.Cell(arm, 0, None, setting=setting)
        recipe, images = study_cell.prepared(cell, folder)
        batch = images.x_train[: recipe["recipe"]["batch_size"]]
        model = presets.build(recipe, 0, cell.model_class)
        model.compile()
        steps[arm] = training_step.step_of(model, batch)
        print(f"{arm} is ready", file=sys.stderr, flush=True)
    seconds = timing.interleaved(steps, _ROUNDS, 2, _CALLS)
    return {arm: float(np.median(values)) for arm, values in seconds.items()}


if __name__ == "__main__":
    setting, folder, *arms = sys.argv[1:]
    arms = arms or study_grid.timed_arms(setting)
    print(json.dumps(measure(setting, pathlib.Path(folder), arms)))
