"""Exports a trained sampler as a SavedModel for TensorFlow Serving.

    clel-export --workdir=runs/digits --export_dir=served/digits

Each export is a new version, a numbered directory in --export_dir, which
appears complete or not at all; its README.md says how to serve it.
"""

import shlex

from absl import flags

from clel_tf.trainers import cli

_WORKDIR = flags.DEFINE_string(
    "workdir",
    None,
    "Directory of a finished run of clel-train. It or --model is required.",
)
_MODEL = flags.DEFINE_string(
    "model", None, "A model's .keras file, instead of a run."
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
    "Langevin steps of every sample. Default: the model's own.",
    lower_bound=1,
)
_MAX_STEPS = flags.DEFINE_integer(
    "max_steps",
    None,
    "Most steps that a request to refine images may ask for. Default: --steps.",
    lower_bound=1,
)
_TEMPERATURE = flags.DEFINE_float(
    "langevin_temperature",
    None,
    "Temperature of the chains. Default: the model's own.",
    lower_bound=0.0,
)
_THRESHOLD = flags.DEFINE_float(
    "ood_threshold",
    None,
    "Value of the model's own ood_score above which an image is out of "
    "distribution. Default: the one that the model was calibrated to, if any.",
)
_RATIO = flags.DEFINE_float(
    "ratio",
    None,
    "Strength of guidance by latents, in multiples of the energy's own pull. "
    "Default: the library's.",
    lower_bound=0.0,
)
_CANDIDATES = flags.DEFINE_integer(
    "candidates",
    None,
    "Chains that a guided image begins as; 1 is fastest. Default: the "
    "library's.",
    lower_bound=1,
)
_ENERGY = flags.DEFINE_multi_string(
    "energy",
    [],
    "NAME=COMPOSITION: a further signature sample_NAME, of what clel-sample "
    "takes as --energy. May be given several times.",
)
_DTYPE = flags.DEFINE_enum(
    "dtype",
    "float32",
    ["float32", "mixed_bfloat16", "auto"],
    "Precision of the networks: mixed_bfloat16 for servers whose CPUs or GPUs "
    "are fast at it; auto for what is fast here.",
)
_XLA = flags.DEFINE_bool(
    "xla",
    False,
    "Adds signatures whose chains XLA compiles, for servers that were started "
    "with --xla_cpu_compilation_enabled.",
)
flags.register_multi_flags_validator(
    ["workdir", "model"],
    lambda given: (given["workdir"] is None) != (given["model"] is None),
    message="Expected --workdir or --model, and not both.",
)


def main(_):
    from clel_tf.export import export_sampler
    from clel_tf.export.export_sampler import model_directory
    from clel_tf.trainers import runs

    directory = model_directory(_EXPORT_DIR.value)
    latents = None
    if _MODEL.value is not None:
        model = runs.load_model_file(_MODEL.value)
    else:
        model = runs.load_model(_WORKDIR.value)
        latents = runs.class_latents(_WORKDIR.value)
    print(f"read     {_MODEL.value or _WORKDIR.value}", flush=True)
    version = export_sampler(
        model,
        directory,
        dtype=_DTYPE.value,
        num_steps=_STEPS.value,
        max_steps=_MAX_STEPS.value,
        langevin_temperature=_TEMPERATURE.value,
        class_latents=latents,
        ood_threshold=_THRESHOLD.value,
        ratio=_RATIO.value,
        candidates=_CANDIDATES.value,
        energies=dict(_named_energy(text, model) for text in _ENERGY.value),
        xla=_XLA.value,
    )
    steps = _STEPS.value or model.sampler.sample_steps
    print(f"wrote    {version} ({steps} steps a sample)")
    print(f"operate  {version}/README.md: servers, requests, tuning")
    print(f'load     loaded = tf.saved_model.load("{version}")')
    print('sample   loaded.signatures["sample"](seed=tf.constant([0, 1]))')
    print(f"inspect  saved_model_cli show --all --dir={_quoted(version)}")
    print(
        f"serve    tensorflow_model_server --model_name={directory.name} "
        f"--model_base_path={_quoted(directory)}"
    )


def _named_energy(text, model):
    from clel_tf.trainers import steering

    name, equals, composition = text.partition("=")
    if not equals:
        raise ValueError(
            f"Expected --energy=NAME=COMPOSITION; received: {text!r}."
        )
    asked = steering.Steering(energy=composition, ratio=_RATIO.value)
    plan = steering.plan(asked, model, _WORKDIR.value)
    return name.strip(), plan.guidance(1)


def _quoted(path):
    return shlex.quote(str(path))


def run():
    cli.run(main)


if __name__ == "__main__":
    run()
