"""Exports a trained run's sampler as a SavedModel for TensorFlow Serving.

    clel-export --workdir=runs/digits --export_dir=served/digits

Each export is a new version, a numbered directory in --export_dir, which
appears complete or not at all.
"""

import pathlib

from absl import flags

from clel_tf.trainers import cli

_WORKDIR = flags.DEFINE_string(
    "workdir",
    None,
    "Directory of a finished run of clel-train. Required.",
    required=True,
)
_EXPORT_DIR = flags.DEFINE_string(
    "export_dir",
    None,
    "Directory of the served model's versions; its last part is the model's "
    "name. It is made where it is missing. Required.",
    required=True,
)
_STEPS = flags.DEFINE_integer(
    "steps",
    None,
    "Langevin steps of every sample. Default: the run's own.",
    lower_bound=1,
)


def main(_):
    from clel_tf.export import export_sampler
    from clel_tf.trainers import runs

    directory = pathlib.Path(_EXPORT_DIR.value).absolute()
    model = runs.load_model(_WORKDIR.value)
    version = export_sampler(model, directory, _STEPS.value)
    steps = _STEPS.value or model.sampler.sample_steps
    print(f"wrote    {version} ({steps} steps a sample)")
    print(f'load     loaded = tf.saved_model.load("{version}")')
    print('sample   loaded.signatures["sample"](seed=tf.constant([0, 1]))')
    print(f"inspect  saved_model_cli show --all --dir={version}")
    print(
        f"serve    tensorflow_model_server --model_name={directory.name} "
        f"--model_base_path={directory}"
    )


def run():
    cli.run(main)


if __name__ == "__main__":
    run()
