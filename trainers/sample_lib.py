"""Sampling a trained run."""

import dataclasses
import pathlib
import time

import numpy as np

from clel_tf import files
from clel_tf import images as pictures
from clel_tf.trainers import runs

_SUFFIXES = (".png", ".npz")


@dataclasses.dataclass(frozen=True)
class Options:
    """What `clel-sample` takes.

    Attributes:
        workdir: str. Directory of the run.
        out: str. File to write, ending in .png or .npz.
        num: int. Number of images.
        steps: int or None. Langevin steps; None for the run's own.
        seed: int.
        batch_size: int or None. Images at a time.
        overwrite: bool. Whether `out` may exist.
    """

    workdir: str
    out: str
    num: int = 64
    steps: int | None = None
    seed: int = 0
    batch_size: int | None = None
    overwrite: bool = False


def sample(options):
    """Samples a run's model into a file, and says what it does.

    Args:
        options: `Options`.

    Raises:
        ValueError: if the file's name does not fit.
        FileExistsError: if it exists.
        FileNotFoundError: if its folder or the run's model does not exist.
    """
    out = _check_out(pathlib.Path(options.out), options.overwrite)
    model = runs.load_model(options.workdir)
    steps = options.steps or model.sampler.sample_steps
    print(f"sampling  {options.num} images, {steps} steps each", flush=True)
    start = time.perf_counter()
    images = model.sample(
        options.num,
        num_steps=steps,
        seed=options.seed,
        batch_size=options.batch_size,
    )
    seconds = time.perf_counter() - start
    _write(images, out)
    print(f"wrote     {out}: {len(images)} images in {seconds:.1f} s")


def _check_out(out, overwrite):
    if out.suffix.lower() not in _SUFFIXES:
        raise ValueError(
            f"Expected --out ending in {' or '.join(_SUFFIXES)}; received: "
            f"{out}"
        )
    if not out.parent.is_dir():
        raise FileNotFoundError(
            f"Expected --out in an existing folder; there is no {out.parent}"
        )
    if out.is_dir() or (out.exists() and not overwrite):
        raise FileExistsError(
            f"Expected --out new, or a file with --overwrite; {out} exists"
        )
    return out


def _write(images, out):
    if out.suffix.lower() == ".png":
        pictures.save_grid(images, out)
        return
    with files.new_file(out) as aside:
        np.savez(aside, images=images)
