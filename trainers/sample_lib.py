"""Sampling a trained run."""

import dataclasses
import importlib.util
import pathlib
import time

import keras
import numpy as np

from clel_tf import files
from clel_tf import images as pictures
from clel_tf import samplers
from clel_tf.samplers import energies
from clel_tf.trainers import runs
from clel_tf.trainers import steering as steering_lib

_SUFFIXES = (".png", ".npz")
_MOST_IN_A_ROW = 16
_MOST_TRACED = 64  # chains
_MOST_RECORDS = 200


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
        mala: bool. Whether as many Metropolis-adjusted steps follow.
        diagnostics: str or None. A .png file for a page on the chains.
    """

    workdir: str
    out: str
    num: int = 64
    steps: int | None = None
    seed: int = 0
    batch_size: int | None = None
    overwrite: bool = False
    steering: steering_lib.Steering = steering_lib.Steering()
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
        ValueError: if the request does not fit the model, or a file's name,
            or a package is missing.
        FileExistsError: if a file to write exists.
        FileNotFoundError: if its folder or the run's model does not exist.
    """
    out, page = _files_to_write(options)
    model = runs.load_model(options.workdir)
    plan = steering_lib.plan(options.steering, model, options.workdir)
    groups = max(len(plan.captions), 1)
    each = -(-options.num // groups)
    count = groups * each
    guidance = plan.guidance and plan.guidance(each)
    steps = options.steps or model.sampler.sample_steps
    sampler = _sampler(options, model.sampler, steps)
    how = {"num_steps": steps, "seed": options.seed, "sampler": sampler}
    print(f"sampling  {count} images, {steps} steps each", flush=True)
    start = time.perf_counter()
    images = model.sample(
        count,
        energy=guidance,
        batch_size=options.batch_size,
        rounds=options.rounds,
        final_steps=options.final_steps,
        **how,
    )
    if options.mala:
        images = _adjusted(model, images, guidance, how)
    seconds = time.perf_counter() - start
    if isinstance(guidance, energies.Either):
        _report_shares(model, guidance, options.seed, images)
    _write(images, plan, out)
    print(f"wrote     {out}: {len(images)} images in {seconds:.1f} s")
    if page:
        _write_diagnostics(model, plan, each, how, page)


def _sampler(options, sampler, steps):
    """The model's sampler, with what is asked for changed."""
    if not options.anneal:
        return sampler
    if options.mala or options.rounds > 1:
        raise ValueError(
            "Expected --anneal without --mala, which keeps a temperature, and "
            "--rounds, of which each begins with all of the noise again; "
            "received both."
        )
    noise = keras.optimizers.schedules.PolynomialDecay(
        sampler.noise_scale, steps, 0.0
    )
    config = {**sampler.get_config(), "noise_scale": noise}
    return samplers.SGLD(**config)


def _adjusted(model, images, guidance, how):
    """The images after as many Metropolis-adjusted steps."""
    sampler = how["sampler"]
    adjusted = samplers.MALA(
        sampler.step_size,
        sampler.langevin_temperature,
        jit_compile=sampler.jit_compile,
    )
    how = {**how, "seed": how["seed"] + 1, "sampler": adjusted}
    return model.sample(len(images), energy=guidance, initial=images, **how)


def _report_shares(model, guidance, seed, images):
    components = model.components(guidance, len(images), seed)[0]
    counts = np.bincount(components, minlength=len(guidance.terms))
    shares = ", ".join(f"{share:.0%}" for share in counts / len(images))
    print(f"shares    {shares} of the images follow the terms, in order")


def _write_diagnostics(model, plan, each, how, page):
    from clel_tf.samplers import diagnostics_plot

    # Of each group as many chains as there is room for.
    groups = max(len(plan.captions), 1)
    each = min(each, max(_MOST_TRACED // groups, 1))
    steps = how["num_steps"]
    trace = model.trace(
        groups * each,
        energy=plan.guidance and plan.guidance(each),
        every=-(-steps // _MOST_RECORDS),
        **how,
    )
    # R-hat takes four records of two chains, after half of all are left out.
    enough = len(trace.steps) >= 8 and groups * each >= 2
    diagnostics_plot.plot(trace, page, summary=None if enough else {})
    print(f"wrote     {page}: traces of {groups * each} chains")


def _files_to_write(options):
    out = _check_out("out", options.out, _SUFFIXES, options.overwrite)
    if options.diagnostics is None:
        return out, None
    page = _check_out(
        "diagnostics", options.diagnostics, (".png",), options.overwrite
    )
    if page.resolve() == out.resolve():
        raise ValueError(
            f"Expected --diagnostics in another file than --out; received: "
            f"{page} for both."
        )
    if importlib.util.find_spec("arviz_stats") is None:
        raise ValueError(
            "Expected arviz_stats, for --diagnostics: pip install "
            "'clel_tf[diagnostics]'."
        )
    return out, page


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
    rows = []
    groups = np.split(images, len(plan.captions))
    for i, (caption, group) in enumerate(zip(plan.captions, groups)):
        shown = [group]
        if plan.before is not None:
            shown.insert(0, plan.before[i : i + 1])
        if plan.with_mean:
            shown.append(group.mean(axis=0, keepdims=True))
        if plan.after is not None:
            shown.append(plan.after[i : i + 1])
        shown = np.clip(np.concatenate(shown), 0.0, 1.0)
        lines = -(-len(shown) // _MOST_IN_A_ROW)
        columns = -(-len(shown) // lines)  # of about the same length
        for first in range(0, len(shown), columns):
            some = shown[first : first + columns]
            rows.append(("" if first else caption, some))
    return rows
