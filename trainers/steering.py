"""From what a command line asks for to an energy, and to a picture of it."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

import clel_tf
from clel_tf.data.dequantize import dequantize
from clel_tf.samplers import energies
from clel_tf.trainers import composition
from clel_tf.trainers import runs
from clel_tf.trainers.image_inputs import read_image
from clel_tf.trainers.image_inputs import read_images
from clel_tf.trainers.image_inputs import read_mask

# What flags that only shape another one are of use with.
_NEEDED = {
    "class_data": ("class_id", "energy"),
    "mask": ("inpaint",),
    "ratio": ("class_id", "like", "energy", "interpolate"),
}


@dataclasses.dataclass(frozen=True)
class Steering:
    """What samples are to be, of `clel-sample`'s flags; all None for any.

    Attributes:
        class_id: list of str, numbers of classes, or ["all"].
        class_data: str. Labelled data for the classes' latents; None for those
            that training left.
        like: list of str, images; see `read_images`.
        energy: str, a composition; see `composition.parse`.
        interpolate: list of two strs, images.
        inpaint: list of str, images.
        mask: str. What of them is painted: left, right, top, bottom, or an
            image file, white where it is.
        denoise: list of str, noisy images.
        sigma: float. Standard deviation of the noise of a measurement.
        super_resolution: list of str, images of low resolution.
        factor: int. How much lower it is.
        ratio: float. Strength of guidance by latents.
    """

    class_id: list | None = None
    class_data: str | None = None
    like: list | None = None
    energy: str | None = None
    interpolate: list | None = None
    inpaint: list | None = None
    mask: str | None = None
    denoise: list | None = None
    sigma: float = 0.1
    super_resolution: list | None = None
    factor: int = 2
    ratio: float | None = None


@dataclasses.dataclass(frozen=True)
class Plan:
    """Groups of samples, and what stands beside each in a picture.

    Attributes:
        guidance: function of the number of samples a group, giving a
            `Guidance`; None for the marginal energy.
        captions: list of str, one a group; empty for a plain grid.
        before: None, or array `(groups, H, W, C)`, shown before the samples.
        after: None, or array `(groups, H, W, C)`, shown after them.
        with_mean: bool. Whether their mean is shown too.
    """

    guidance: object = None
    captions: Sequence[str] = ()
    before: object = None
    after: object = None
    with_mean: bool = False


def plan(steering, model, workdir):
    """Decides what to sample.

    Args:
        steering: `Steering`.
        model: `CLEL`.
        workdir: str. The run, which may have left the classes' latents.

    Returns:
        `Plan`.

    Raises:
        ValueError: if the request does not fit the model.
        FileNotFoundError: if an image's file does not exist.
    """
    makers = {
        "class_id": _classes,
        "like": _like,
        "energy": _composed,
        "interpolate": _interpolation,
        "inpaint": _inpainting,
        "denoise": _denoising,
        "super_resolution": _super_resolution,
    }
    asked = [name for name in makers if getattr(steering, name) is not None]
    if len(asked) > 1:
        raise ValueError(
            f"Expected one of --{' and --'.join(asked)}; several conditions "
            "are composed by --energy."
        )
    _check_shaping(steering, asked, model)
    if not asked:
        return Plan()
    return makers[asked[0]](steering, model, workdir)


def _check_shaping(steering, asked, model):
    for name, others in _NEEDED.items():
        if getattr(steering, name) is not None and not {*asked} & {*others}:
            raise ValueError(
                f"Expected --{name} with --{' or --'.join(others)} only."
            )
    if steering.ratio is not None and not model.known_energy_scale() > 0:
        raise ValueError(
            "Expected no --ratio for a model that does not know its energy's "
            "scale, as older runs left it; measure_energy_scale tells it."
        )


def _classes(steering, model, workdir):
    means, labels = _class_means(steering, model, workdir)
    wanted = steering.class_id
    if wanted == ["all"]:
        wanted = labels
    if not len(wanted):
        raise ValueError("Expected classes of --class_id; received none.")
    rows = [_row_of_class(label, labels) for label in wanted]
    captions = [f"class {labels[row]}" for row in rows]
    return _guided(means[rows], captions, None, steering, model)


def _like(steering, model, workdir):
    images = read_images(steering.like, model.image_shape)
    latents = model.latents(images)
    return _guided(latents, ["like"] * len(images), images, steering, model)


def _guided(latents, captions, before, steering, model):
    return Plan(
        lambda each: model.guidance(
            np.repeat(latents, each, axis=0), steering.ratio
        ),
        captions,
        before,
    )


def _composed(steering, model, workdir):
    @functools.cache  # of labelled data they take a while
    def known():
        return _class_means(steering, model, workdir)

    def of_class(label):
        means, labels = known()
        row = _row_of_class(label, labels)
        return model.guidance(means[row], steering.ratio)

    def like(name):
        image = read_image(str(name), model.image_shape)
        (latent,) = model.latents(image[np.newaxis])
        return model.guidance(latent, steering.ratio)

    names = {"class": of_class, "like": like}
    guidance = composition.parse(steering.energy, names)
    return Plan(lambda each: guidance, [steering.energy])


def _interpolation(steering, model, workdir):
    ends = read_images(steering.interpolate, model.image_shape)
    if len(ends) != 2:
        raise ValueError(
            f"Expected two images to interpolate; received: {len(ends)}."
        )
    first, last = model.latents(ends)
    # Of equal ones any angle will do, but 0 leaves no vector.
    angle = np.arccos(np.clip(first @ last, -1.0, 1.0)).clip(1e-3)

    def guidance(each):
        t = np.linspace(0.0, 1.0, each)[:, np.newaxis]
        # Along the great circle; a sum that is no unit vector is made one.
        latents = np.sin((1 - t) * angle) * first + np.sin(t * angle) * last
        return model.guidance(latents, steering.ratio)

    caption = ["from one to the other"]
    return Plan(guidance, caption, ends[:1], ends[1:])


def _inpainting(steering, model, workdir):
    if steering.mask is None:
        raise ValueError("Expected --mask with --inpaint.")
    mask = read_mask(steering.mask, model.image_shape)
    images = read_images(steering.inpaint, model.image_shape)
    return Plan(
        lambda each: energies.Inpaint(np.repeat(images, each, axis=0), mask),
        ["given, painted, their mean"] * len(images),
        np.where(mask, 0.5, images).astype("float32"),
        with_mean=True,
    )


def _denoising(steering, model, workdir):
    images = read_images(steering.denoise, model.image_shape)
    return _restored(images, None, images, "denoised", steering)


def _super_resolution(steering, model, workdir):
    factor = steering.factor
    operator = energies.AveragePool(factor)
    images = read_images(steering.super_resolution, model.image_shape)
    observed = operator(images).numpy()
    squares = np.kron(observed, np.ones((1, factor, factor, 1)))
    return _restored(observed, operator, squares, "refined", steering)


def _restored(observed, operator, before, verb, steering):
    return Plan(
        lambda each: energies.DataFidelity(
            np.repeat(observed, each, axis=0), operator, steering.sigma
        ),
        [f"given, {verb}, their mean"] * len(observed),
        before,
        with_mean=True,
    )


def _class_means(steering, model, workdir):
    if steering.class_data is not None:
        data = clel_tf.data.load(steering.class_data)
        if data.y_train is None:
            raise ValueError(
                f"Expected labelled images in {steering.class_data}; received "
                "images without labels."
            )
        # The data's levels need not be the model's.
        images = np.asarray(dequantize(data.x_train, data.levels))
        return energies.class_means(model, images, data.y_train)
    found = runs.class_directions(workdir)
    if found is None:
        raise ValueError(
            f"Expected class directions in {workdir}, which training leaves "
            "where its data has labels, or --class_data=SPEC."
        )
    return found


def _row_of_class(label, labels):
    known = [str(x) for x in labels]
    if str(label) not in known:
        raise ValueError(
            f"Expected a class out of {', '.join(known)}; received: {label}."
        )
    return known.index(str(label))
