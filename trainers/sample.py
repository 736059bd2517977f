"""Samples images from a trained run.

    clel-sample --workdir=runs/digits --num=64 --out=samples.png

The same seed gives the same images; more of them, or other batches, only add
to them.
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
    "File to write: .png for one picture of all images, or .npz for an array "
    "`images`, float32 [n, H, W, C] in [0, 1]. Required.",
    required=True,
)
_NUM = flags.DEFINE_integer("num", 64, "Number of images.", lower_bound=1)
_STEPS = flags.DEFINE_integer(
    "steps",
    None,
    "Langevin steps from noise to an image. Default: the run's own.",
    lower_bound=1,
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the images.", lower_bound=0)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size",
    None,
    "Images at a time. Default: what the device is fast at.",
    lower_bound=1,
)
_OVERWRITE = flags.DEFINE_bool(
    "overwrite", False, "Whether --out may replace a file."
)


def main(_):
    from clel_tf.trainers import sample_lib

    sample_lib.sample(
        sample_lib.Options(
            workdir=_WORKDIR.value,
            out=_OUT.value,
            num=_NUM.value,
            steps=_STEPS.value,
            seed=_SEED.value,
            batch_size=_BATCH_SIZE.value,
            overwrite=_OVERWRITE.value,
        )
    )


def run():
    cli.run(main)


if __name__ == "__main__":
    run()
