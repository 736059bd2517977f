"""The time of sampling, against the number of images."""

import functools

import timing

from clel_tf.models import CLEL

STEPS = 20


def measure(scale):
    """Times `sample` of the digits model for several numbers of images.

    Args:
        scale: `scales.Scale`.

    Returns:
        dict: "steps"; "rows", one a number of images; and
        "sample_4096_vs_64x64", the time of one call against that of several
        for the same number of images.
    """
    model = CLEL.from_preset("digits")
    sample = functools.partial(model.sample, num_steps=STEPS)
    together, chunk = scale.sample_together
    counts = sorted({*scale.sample_counts, together})

    def in_chunks():
        for seed in range(together // chunk):
            sample(chunk, seed=seed)

    functions = {n: functools.partial(sample, n) for n in counts}
    # Beside the call that it is compared with.
    functions["chunks"] = in_chunks
    seconds = timing.interleaved(functions, scale.sample_rounds)
    share = timing.ratio(seconds[together], seconds["chunks"])
    return {
        "steps": STEPS,
        "rows": [_row(n, seconds[n]) for n in counts],
        "sample_4096_vs_64x64": share,
    }


def _row(n, seconds):
    spread = timing.spread(seconds)
    return {
        "n": n,
        "seconds": spread,
        "images_per_second": n / spread["median"],
    }
