"""Trains an energy-based model guided by contrastive latent variables.

  clel-train --preset=digits --workdir=runs/digits

Running it again on a directory whose run was stopped continues that run;
on a finished one it changes nothing. SIGTERM saves a checkpoint and ends it
with status 143; of several workers, only the latter. All GPUs are used, and all
machines that TF_CONFIG names.
"""

import signal
import sys

from absl import flags

from clel_tf.trainers import cli

_PRESET = flags.DEFINE_string(
    "preset", "digits", "Name of a preset, or path of a JSON recipe."
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Directory of the run. Required.", required=True
)
_DATA = flags.DEFINE_string(
    "data",
    None,
    "Training images instead of the recipe's: digits, npz:PATH, folder:PATH, "
    "tfds:NAME[@DATA_DIR] or interpolate: and one of these. The networks take "
    "their shape, mean and deviation.",
)
_IMAGE_SIZE = flags.DEFINE_integer(
    "image_size",
    None,
    "Side in pixels that images of folders and TensorFlow Datasets are cropped "
    "and resized to.",
    lower_bound=1,
)
_MAX_IMAGES = flags.DEFINE_integer(
    "max_images",
    None,
    "Number of training images to use, evenly spaced in the set.",
    lower_bound=1,
)
_STEPS = flags.DEFINE_integer(
    "steps", None, "Training steps instead of the recipe's.", lower_bound=1
)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", None, "Images a step instead of the recipe's.", lower_bound=1
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of everything random.")
_SET = flags.DEFINE_multi_string(
    "set", [], "Change of the recipe, as in --set sampler.step_size=5."
)
_SAMPLE_EVERY = flags.DEFINE_integer(
    "sample_every", 200, "Steps between two pictures.", lower_bound=1
)
_CHECKPOINT_EVERY = flags.DEFINE_integer(
    "checkpoint_every", 200, "Steps between two checkpoints.", lower_bound=1
)
_TEACHER = flags.DEFINE_string(
    "teacher",
    None,
    "What trains the encoder that guides, instead of the recipe's: simclr, "
    "simclr_no_negatives, byol, masked, supervised (by the data's labels), "
    "frozen:PATH (a trained encoder's .keras file) or none (no guidance). "
    "--set teacher.temperature=0.1 and the like change its settings.",
)
_INIT_FROM = flags.DEFINE_string(
    "init_from",
    None,
    "Directory of a finished run whose weights, averages and chains this one "
    "starts from.",
)
_GUARD = flags.DEFINE_enum(
    "guard",
    "learning_rate",
    ["learning_rate", "step_size", "reseed", "off"],
    "What the divergence guard halves when it takes training back to its last "
    "healthy state: learning_rate, step_size (of chains) or, with reseed, "
    "nothing; off for no guard.",
)
_DATA_FAULTS = flags.DEFINE_enum(
    "data_faults",
    "raise",
    ["raise", "skip"],
    "What becomes of images of a folder that cannot be read: the first ends "
    "training, or they are told, left out and counted.",
)
_STRATEGY = flags.DEFINE_enum(
    "strategy",
    "auto",
    ["auto", "mirrored", "multi_worker"],
    "What to train on: mirrored, all GPUs of this machine; multi_worker, what "
    "all processes have that the environment variable TF_CONFIG names; auto, "
    "whichever there are several of.",
)


def main(_):
    # While nothing is there to be saved; training has a handler of its own.
    signal.signal(signal.SIGTERM, _stop)

    from clel_tf.trainers import recipes
    from clel_tf.trainers import strategy
    from clel_tf.trainers import train_lib

    recipe = recipes.read(_PRESET.value)
    if _DATA.value:
        recipe = recipes.for_data(recipe, _DATA.value)
    if _TEACHER.value:
        recipe = recipes.with_teacher(recipe, _TEACHER.value)
    recipe = recipes.override(recipe, _SET.value)
    for name, flag in (("steps", _STEPS), ("batch_size", _BATCH_SIZE)):
        if flag.value:
            recipe["recipe"][name] = flag.value
    config = train_lib.TrainConfig(
        preset=_PRESET.value,
        recipe=recipe,
        seed=_SEED.value,
        image_size=_IMAGE_SIZE.value,
        max_images=_MAX_IMAGES.value,
        sample_every=_SAMPLE_EVERY.value,
        checkpoint_every=_CHECKPOINT_EVERY.value,
        init_from=_INIT_FROM.value,
        guard=_GUARD.value,
        data_faults=_DATA_FAULTS.value,
    )
    devices = strategy.make_strategy(_STRATEGY.value)
    summary = train_lib.train(config, _WORKDIR.value, devices)
    if summary:
        train_lib.report(summary, _WORKDIR.value)


def _stop(number, _):
    print("Stopped by SIGTERM; the same command continues.", flush=True)
    sys.exit(128 + number)


def run():
    cli.run(main)


if __name__ == "__main__":
    run()
