"""Evaluates a trained run, and writes a report that reproduces itself.

    clel-evaluate --workdir=runs/digits --out=runs/digits_report
    clel-evaluate --workdir=runs/cifar --out=report --extractor=inception \\
      --num_samples=50000 --ood=npz:svhn.npz --ood=tfds:cifar100 --ood=noise

It leaves report.html to look at, report.json (every figure with its interval,
and all that is needed to get it again: command, versions, seeds, hashes of the
weights, data and feature extractors, settings of the chains) and model.keras,
the run's model with a threshold for is_ood. Everything is checked before work
begins. Stopped and started again, it goes on after the last figure it had.

Samples are fresh: chains from uniform noise, of the averaged weights. Figures
of samples compare at equal numbers of samples only.
"""

from absl import flags

from clel_tf.trainers import cli

_WORKDIR = flags.DEFINE_string(
    "workdir",
    None,
    "Directory of a finished run of clel-train. Required.",
    required=True,
)
_OUT = flags.DEFINE_string(
    "out",
    None,
    "Directory of the report: new, or one where the same evaluation was "
    "stopped. Required.",
    required=True,
)
_DATA = flags.DEFINE_string(
    "data", None, "Data to compare with. Default: what the run was trained on."
)
_SEED = flags.DEFINE_integer(
    "seed", 0, "Seed of samples and intervals.", lower_bound=0
)
# Chains.
_NUM_SAMPLES = flags.DEFINE_integer(
    "num_samples", 1000, "Number of fresh samples.", lower_bound=20
)
_STEPS = flags.DEFINE_integer(
    "steps", None, "Langevin steps. Default: the run's own.", lower_bound=1
)
_ROUNDS = flags.DEFINE_integer(
    "rounds",
    1,
    "Rounds that share the steps, each but the first begun by augmented views; "
    "for models whose training did so.",
    lower_bound=1,
)
_FINAL_STEPS = flags.DEFINE_integer(
    "final_steps",
    0,
    "How many of --steps follow the last round, to remove traces of views.",
    lower_bound=0,
)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size",
    None,
    "Images at a time. Default: what the device is fast at.",
    lower_bound=1,
)
# Quality of samples.
_EXTRACTOR = flags.DEFINE_list(
    "extractor",
    None,
    "What features samples are compared in: inception (the standard FID's), "
    "digits (margins of a classifier), pixels, keras:PATH (a model's file). "
    "Default: digits,pixels for digits; else inception, where its weights are "
    "at hand, and pixels.",
)
_INCEPTION = flags.DEFINE_string(
    "inception",
    None,
    "File of Inception's weights. Default: $CLEL_TF_INCEPTION, or the cache.",
)
_ALLOW_UNKNOWN = flags.DEFINE_bool(
    "allow_unknown_inception",
    False,
    "Whether that file may be another than the published ones.",
)
_REFERENCE = flags.DEFINE_enum(
    "reference",
    "train",
    ["train", "test"],
    "Split of the data that samples are compared with.",
)
# Out-of-distribution detection.
_OOD = flags.DEFINE_multi_string(
    "ood",
    ["constant", "noise", "interpolate", "blur"],
    "Data to tell from the test split: what --data takes, or a built-in set "
    "made of the test split itself (constant, noise, interpolate, blur, "
    "invert, rotate, shuffle, mix, photographs). May be given several times; "
    "--ood= asks for none.",
)
_SCORE = flags.DEFINE_list(
    "score",
    None,
    "Scores to compare, of joint_energy, marginal_energy, typicality, "
    "latent_neighbors, neighbor_energy, gradient_norm and view_difference. The "
    "first is calibrated and saved with the model. Default: all but the last; "
    "of a model without latents, those that need none.",
)
_BETA = flags.DEFINE_float(
    "beta",
    None,
    "Weight of the latents in joint_energy. Default: the model's.",
    lower_bound=0.0,
)
_FALSE_ALARM_RATE = flags.DEFINE_float(
    "false_alarm_rate",
    0.05,
    "Share of in-distribution images that the saved threshold may flag.",
    lower_bound=0.0,
    upper_bound=1.0,
)


def main(_):
    from clel_tf.trainers import evaluate_lib

    evaluate_lib.evaluate(
        evaluate_lib.Options(
            workdir=_WORKDIR.value,
            out=_OUT.value,
            data=_DATA.value,
            seed=_SEED.value,
            num_samples=_NUM_SAMPLES.value,
            steps=_STEPS.value,
            rounds=_ROUNDS.value,
            final_steps=_FINAL_STEPS.value,
            batch_size=_BATCH_SIZE.value,
            extractors=_EXTRACTOR.value,
            inception=_INCEPTION.value,
            allow_unknown_inception=_ALLOW_UNKNOWN.value,
            reference=_REFERENCE.value,
            ood=[spec for spec in _OOD.value if spec],
            scores=_SCORE.value,
            beta=_BETA.value,
            false_alarm_rate=_FALSE_ALARM_RATE.value,
        )
    )


def run():
    cli.run(main)


if __name__ == "__main__":
    run()
