"""Samples images from a trained run.

    clel-sample --workdir=runs/digits --num=64 --out=samples.png
    clel-sample --workdir=runs/digits --class_id=3,5 --out=threes_fives.png
    clel-sample --workdir=runs/digits --energy="class(3) | class(5)" --out=x.png
    clel-sample --workdir=runs/digits --inpaint=a.png --mask=right --out=b.png

The same seed gives the same images; more of them, or other batches, only add
to them. An image of the input is a file, or SPEC#I: test image I of a data set,
such as digits#3.
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
_NUM = flags.DEFINE_integer(
    "num",
    64,
    "Number of images, shared equally by classes or images that are given.",
    lower_bound=1,
)
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
# What the images are to be.
_CLASS_ID = flags.DEFINE_list(
    "class_id", None, "Classes to draw: 3, or 3,5, or all."
)
_CLASS_DATA = flags.DEFINE_string(
    "class_data",
    None,
    "Labelled data for the classes' latents, such as digits. Default: those "
    "that training left.",
)
_LIKE = flags.DEFINE_list("like", None, "Images to draw others like.")
_ENERGY = flags.DEFINE_string(
    "energy",
    None,
    "A composition of class(3), like('a.png'), and of a + b (AND), a | b (OR), "
    "soft(a, b) (OR within an image), ~a (NOT), 2 * a (more of it).",
)
_INTERPOLATE = flags.DEFINE_list(
    "interpolate", None, "Two images, to go from one to the other."
)
_INPAINT = flags.DEFINE_list("inpaint", None, "Images to paint in.")
_MASK = flags.DEFINE_string(
    "mask",
    None,
    "What of --inpaint is painted: left, right, top, bottom, or an image file, "
    "white where it is.",
)
_DENOISE = flags.DEFINE_list("denoise", None, "Noisy images to restore.")
_SUPER_RESOLUTION = flags.DEFINE_list(
    "super_resolution", None, "Images to restore from means of squares."
)
_FACTOR = flags.DEFINE_integer(
    "factor", 2, "Side of these squares, in pixels.", lower_bound=2
)
_SIGMA = flags.DEFINE_float(
    "sigma",
    0.1,
    "Standard deviation of the noise of images to restore, in [0, 1]'s units.",
    lower_bound=0.0,
)
_RATIO = flags.DEFINE_float(
    "ratio",
    None,
    "Strength of guidance by latents, in multiples of the energy's own pull. "
    "Default: the library's.",
    lower_bound=0.0,
)
# How the chains run.
_ROUNDS = flags.DEFINE_integer(
    "rounds",
    1,
    "Rounds of steps, each but the first begun by augmented views.",
    lower_bound=1,
)
_FINAL_STEPS = flags.DEFINE_integer(
    "final_steps", 0, "Steps after the last round, of --steps.", lower_bound=0
)
_ANNEAL = flags.DEFINE_bool(
    "anneal", False, "Whether the noise falls to zero over the chain."
)
_MALA = flags.DEFINE_bool(
    "mala", False, "Whether steps are Metropolis-adjusted."
)
_DIAGNOSTICS = flags.DEFINE_string(
    "diagnostics",
    None,
    "File to write: .png, a page of the chains' traces. It takes matplotlib.",
)
_OVERWRITE = flags.DEFINE_bool(
    "overwrite", False, "Whether files to write may replace others."
)


def main(_):
    from clel_tf.trainers import sample_lib
    from clel_tf.trainers import steering

    sample_lib.sample(
        sample_lib.Options(
            workdir=_WORKDIR.value,
            out=_OUT.value,
            num=_NUM.value,
            steps=_STEPS.value,
            seed=_SEED.value,
            batch_size=_BATCH_SIZE.value,
            overwrite=_OVERWRITE.value,
            steering=steering.Steering(
                class_id=_CLASS_ID.value,
                class_data=_CLASS_DATA.value,
                like=_LIKE.value,
                energy=_ENERGY.value,
                interpolate=_INTERPOLATE.value,
                inpaint=_INPAINT.value,
                mask=_MASK.value,
                denoise=_DENOISE.value,
                sigma=_SIGMA.value,
                super_resolution=_SUPER_RESOLUTION.value,
                factor=_FACTOR.value,
                ratio=_RATIO.value,
            ),
            rounds=_ROUNDS.value,
            final_steps=_FINAL_STEPS.value,
            anneal=_ANNEAL.value,
            mala=_MALA.value,
            diagnostics=_DIAGNOSTICS.value,
        )
    )


def run():
    cli.run(main)


if __name__ == "__main__":
    run()
