"""Samples images from a trained run.

    clel-sample --workdir=runs/digits --num=64 --out=samples.png
    clel-sample --workdir=runs/digits --class_id=3,5 --out=threes_fives.png
    clel-sample --workdir=runs/digits --energy="class(3) | class(5)" --out=x.png
    clel-sample --workdir=runs/digits --inpaint=digits#0 --mask=top --out=y.png

The same seed gives the same images; more of them, or other batches, only add
to them. Images of the input are separated by commas; each is a file, which is
cropped and resized, or SPEC#I, test image I of a data set, such as digits#3, or
SPEC#I-J for those from I to J. One of --class_id, --like, --energy,
--interpolate, --inpaint, --denoise and --super_resolution says what the images
are to be; without any they are as the training data. Classes, or images, of the
input share --num equally, rounded up.
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
    "`images`, float32 [n, H, W, C] in [0, 1], group by group. Required.",
    required=True,
)
_NUM = flags.DEFINE_integer(
    "num",
    64,
    "Number of images.",
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
    "class_id", None, "Classes to draw: 3, or 3,5, or all. A row of each."
)
_CLASS_DATA = flags.DEFINE_string(
    "class_data",
    None,
    "Labelled data from which to take the classes' latents, such as digits. "
    "Default: those that training left.",
)
_LIKE = flags.DEFINE_list(
    "like", None, "Images to draw others like. A row of each."
)
_ENERGY = flags.DEFINE_string(
    "energy",
    None,
    "A composition of class(3) and like('a.png') by a + b or a & b (AND), "
    "a | b (OR: each image follows one, drawn evenly), soft(a, b) (OR within "
    "an image), ~a (NOT), 2 * a (more of it), and parentheses.",
)
_INTERPOLATE = flags.DEFINE_list(
    "interpolate",
    None,
    "Two images, to go from what one is like to what the other is like in "
    "--num images.",
)
_INPAINT = flags.DEFINE_list(
    "inpaint", None, "Images to complete; pixels outside of --mask stay as is."
)
_MASK = flags.DEFINE_string(
    "mask",
    None,
    "What of --inpaint is painted: left, right, top, bottom, or an image file, "
    "white where it is.",
)
_DENOISE = flags.DEFINE_list("denoise", None, "Noisy images to restore.")
_SUPER_RESOLUTION = flags.DEFINE_list(
    "super_resolution", None, "Images to restore from their means over squares."
)
_FACTOR = flags.DEFINE_integer(
    "factor", 2, "Side of these squares, in pixels.", lower_bound=2
)
_SIGMA = flags.DEFINE_float(
    "sigma",
    0.1,
    "Standard deviation of the noise in --denoise and --super_resolution, of "
    "pixels in [0, 1].",
    lower_bound=0.0,
)
_RATIO = flags.DEFINE_float(
    "ratio",
    None,
    "Strength of --class_id, --like, --energy and --interpolate, in multiples "
    "of the energy's own pull; more costs variety. Default: 0.2, or training's "
    "where an older run did not leave its energy's scale.",
    lower_bound=0.0,
)
# How the chains run.
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
_ANNEAL = flags.DEFINE_bool(
    "anneal", False, "Whether the noise falls to zero over the chain's steps."
)
_MALA = flags.DEFINE_bool(
    "mala",
    False,
    "Whether as many Metropolis-adjusted steps follow, which sample at the "
    "sampler's temperature exactly.",
)
_DIAGNOSTICS = flags.DEFINE_string(
    "diagnostics",
    None,
    "File to write: .png, a page on up to 64 chains and whether they have "
    "arrived. It takes clel_tf[diagnostics].",
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
