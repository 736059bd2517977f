"""Sampling a trained run."""

import dataclasses
import pathlib
import time

import keras
import numpy as np

from clel_tf import files
from clel_tf import images as pictures
from clel_tf import random
from clel_tf import samplers
from clel_tf.samplers import energies
from clel_tf.trainers import runs
from clel_tf.trainers import steering

_SUFFIXES = (".png", ".npz")
_MOST_IN_A_ROW = 16


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
        steering: `Steering`. What the images are to be.
        rounds: int. See `CLEL.sample`.
        final_steps: int. See `CLEL.sample`.
        anneal: bool. Whether the noise falls to zero over the chain.
        mala: bool. Whether chains are Metropolis-adjusted.
        diagnostics: str or None. A .png file for a page on the chains.
    """

    workdir: str
    out: str
    num: int = 64
    steps: int | None = None
    seed: int = 0
    batch_size: int | None = None
    overwrite: bool = False
    steering: steering.Steering = steering.Steering()
    rounds: int = 1
    final_steps: int = 0
    anneal: bool = False
    mala: bool = False
    diagnostics: str | None = None


def sample(options):
    """Samples a run's model into a file, and says what it does.

    Args:
        options: `Options`.

    Raises:
        ValueError: if the request does not fit the model, or a file's name.
        FileExistsError: if a file to write exists.
        FileNotFoundError: if its folder or the run's model does not exist.
    """
    out = _check_out("out", options.out, _SUFFIXES, options.overwrite)
    page = options.diagnostics and _check_out(
        "diagnostics", options.diagnostics, (".png",), options.overwrite
    )
    model = runs.load_model(options.workdir)
    plan = steering.plan(options.steering, model, options.workdir)
    groups = max(len(plan.captions), 1)
    each = -(-options.num // groups)
    count = groups * each
    guidance = plan.guidance and plan.guidance(each)
    steps = options.steps or model.sampler.sample_steps
    how = {
        "energy": guidance,
        "num_steps": steps,
        "seed": options.seed,
        "sampler": _sampler(options, model.sampler, steps),
    }
    print(f"sampling  {count} images, {steps} steps each", flush=True)
    start = time.perf_counter()
    images = model.sample(
        count,
        batch_size=options.batch_size,
        rounds=options.rounds,
        final_steps=options.final_steps,
        **how,
    )
    seconds = time.perf_counter() - start
    if isinstance(guidance, energies.Either):
        _report_shares(guidance, options, count)
    _write(images, plan, out)
    print(f"wrote     {out}: {len(images)} images in {seconds:.1f} s")
    if page:
        _write_diagnostics(model.trace(min(count, 64), **how), page)


def _sampler(options, sampler, steps):
    """The model's sampler, with what is asked for changed."""
    if options.mala:
        if options.anneal:
            raise ValueError(
                "Expected --mala or --anneal: annealed chains have no stated "
                "temperature; received both."
            )
        return samplers.MALA(
            sampler.step_size,
            sampler.langevin_temperature,
            jit_compile=sampler.jit_compile,
        )
    if options.anneal:
        noise = keras.optimizers.schedules.PolynomialDecay(
            sampler.noise_scale, steps, 0.0
        )
        config = {**sampler.get_config(), "noise_scale": noise}
        return samplers.SGLD(**config)
    return sampler


def _report_shares(either, options, count):
    keys = random.as_key(random.row_seeds(options.seed, count))
    # As the only term of the energy that is sampled.
    rows = energies.Marginal([either]).rows(random.fold_in(keys, 2))
    components = rows[1][0][0]["component"].numpy()
    counts = np.bincount(components, minlength=len(either.terms))
    shares = ", ".join(f"{share:.0%}" for share in counts / count)
    print(f"shares    {shares} of the images follow each of the terms")


def _write_diagnostics(trace, page):
    from clel_tf.samplers import diagnostics_plot

    diagnostics_plot.plot(trace, page)
    print(f"wrote     {page}: traces of the chains")


def _check_out(flag, out, suffixes, overwrite):
    out = pathlib.Path(out)
    if out.suffix.lower() not in suffixes:
        raise ValueError(
            f"Expected --{flag} ending in {' or '.join(suffixes)}; received: "
            f"{out}"
        )
    if not out.parent.is_dir():
        raise FileNotFoundError(
            f"Expected --{flag} in an existing folder; there is no {out.parent}"
        )
    if out.is_dir() or (out.exists() and not overwrite):
        raise FileExistsError(
            f"Expected --{flag} new, or a file with --overwrite; {out} exists"
        )
    return out


def _write(images, plan, out):
    if out.suffix.lower() == ".png":
        if not plan.captions:
            pictures.save_grid(images, out)
        else:
            pictures.save_rows(_rows_of_picture(images, plan), out)
        return
    with files.new_file(out) as aside:
        np.savez(aside, images=images)


def _rows_of_picture(images, plan):
    groups = np.split(images, len(plan.captions))
    rows = []
    for i, (caption, group) in enumerate(zip(plan.captions, groups)):
        shown = [group[:_MOST_IN_A_ROW]]
        if plan.before is not None:
            shown.insert(0, plan.before[i : i + 1])
        if plan.with_mean:
            shown.append(group.mean(axis=0, keepdims=True))
        rows.append((caption, np.clip(np.concatenate(shown), 0.0, 1.0)))
    return rows
