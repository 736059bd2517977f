"""Diagnostics of chains: what to look at before samples are believed.

Chains that have arrived are moved by their noise rather than their drift, at
energies that fall no more; chains that mix cannot be told apart by where they
are, and their R-hat is 1. Between modes of images chains hardly move, and R-hat
of what differs between modes stays far above 1 however long they run: one chain
is no sample of the whole distribution, and samples take many.
"""

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from clel_tf.samplers import chain
from clel_tf.samplers.compilation import resolve_jit_compile


class Trace(NamedTuple):
    """What `n` chains did, recorded at `t` of their steps; NumPy arrays.

    A record has the images after `steps[i]` steps and what the last of these
    steps saw: energy and gradient are those of the images before it.

    Attributes:
        steps: int32 `(t,)`, steps made.
        energy: float32 `(t, n)`.
        gradient_norm: float32 `(t, n)`, Euclidean, before any clipping.
        displacement: float32 `(t, n)`, root mean square change of a pixel.
        drift: float32 `(t, n)`, root mean square of a pixel's drift,
            `step_size * gradient_norm / sqrt(pixels)`.
        noise: float32 `(t,)`, standard deviation of a pixel's noise.
        temperature: float32 `(t,)`, `noise**2 / (2 step_size)`.
        acceptance: float32 `(t, n)`, probability of the step's acceptance, or
            None where the sampler accepts all.
        images: float32 `(t, n, ...)`.
    """

    steps: np.ndarray
    energy: np.ndarray
    gradient_norm: np.ndarray
    displacement: np.ndarray
    drift: np.ndarray
    noise: np.ndarray
    temperature: np.ndarray
    acceptance: np.ndarray | None
    images: np.ndarray


def trace(
    sampler, energy_fn, initial, keys, num_steps, every=1, project=None
) -> Trace:
    """Runs chains as `sampler.run` does and records them on their way.

    The chains and their records are one compiled graph, made once a call. The
    records stay on the device until the end: `t n pixels` floats of images.

    Args:
        sampler: `SGLD` or `MALA`.
        energy_fn: function of float32 images `(n, ...)` giving `(n,)`.
        initial: float32 `(n, ...)`, in [0, 1].
        keys: uint64 `(n,)`, a key a chain.
        num_steps: int >= 1.
        every: int >= 1. Steps between records; the last step has one too.
        project: function of images, or None; see the samplers' `run`.

    Returns:
        `Trace`. Its last images are the samples of `sampler.run`.

    Raises:
        ValueError: if `num_steps` or `every` is not an int of at least 1.

    Example:

    >>> from clel_tf.samplers import diagnostics
    >>> keys = clel_tf.random.fold_in(clel_tf.random.as_key(0), tf.range(8))
    >>> initial = clel_tf.random.uniform(keys, (4, 4, 1))
    >>> sampler = clel_tf.samplers.SGLD(step_size=0.01, noise_scale=0.02)
    >>> trace = diagnostics.trace(
    ...     sampler, lambda x: 10 * tf.reduce_sum((x - 0.5) ** 2, (1, 2, 3)),
    ...     initial, keys, num_steps=35, every=2)
    >>> trace.steps[-2:], trace.images.shape
    (array([34, 35], dtype=int32), (18, 8, 4, 4, 1))
    """
    for name, value in (("num_steps", num_steps), ("every", every)):
        if not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(
                f"Expected `{name}` to be an int of at least 1; received: "
                f"{value!r}."
            )
    stops = np.arange(every, num_steps + every, every, dtype="int32")
    stops = np.minimum(stops, num_steps)

    @tf.function(
        autograph=False, jit_compile=resolve_jit_compile(sampler.jit_compile)
    )
    def run(initial, keys):
        state = sampler.init(energy_fn, initial, project)
        return _record(
            state,
            lambda state: sampler.step(state, energy_fn, keys, project),
            stops,
            chain.no_info(sampler.info, state.samples),
        )

    initial = tf.convert_to_tensor(initial, tf.float32)
    arrays = run(initial, tf.convert_to_tensor(keys))
    arrays = tf.nest.map_structure(lambda x: x.numpy(), arrays)
    return _as_trace(sampler, stops, *arrays)


def split_rhat(draws, method="rank"):
    """Computes split R-hat: how far chains are from telling the same.

        R-hat = sqrt(((t - 1) / t W + B / t) / W)

    where W is the mean variance within the halves of chains, of `t` draws
    each, and B is `t` times the variance between their means. The method "rank"
    is the larger of that of the ranks, as normal scores, and that of the ranks
    of distances from the median. 1 is best; above 1.01 chains differ. Of two
    modes ranks give less than 2, however far apart the modes are.

    Args:
        draws: array `(t, n)` or `(t, n, features)` of t >= 4 draws of n >= 2
            chains.
        method: str. "rank", or "split" for the formula on the values.

    Returns:
        float, or float64 array `(features,)`. Infinite where every chain
        stands still but not all in one place, not a number where all draws are
        equal or one is not a number.

    Raises:
        ImportError: if ArviZ's `arviz-stats` is not installed.
        ValueError: if the shape does not fit.

    Example:

    >>> from clel_tf.samplers import diagnostics
    >>> draws = np.random.default_rng(0).normal(size=(500, 4))
    >>> round(diagnostics.split_rhat(draws), 1)
    1.0
    >>> diagnostics.split_rhat(draws + [0, 0, 9, 9]) > 1.5
    True

    Reference:
        [Vehtari, Gelman, Simpson, Carpenter, Bürkner: Rank-normalization,
        folding, and localization: An improved R-hat for assessing convergence
        of MCMC, Bayesian Analysis 2021](https://arxiv.org/abs/1903.08008)
    """
    return _of_chains("rhat", draws, method, min_chains=2)


def effective_sample_size(draws, method="bulk"):
    """Computes how many independent draws those of chains are worth.

        ESS = n t / (1 + 2 sum_k rho_k)

    with rho_k the autocorrelation at a distance of `k` draws, of all chains
    together: chains that stay in modes of their own are worth little.

    Args:
        draws: array `(t, n)` or `(t, n, features)` of t >= 4 draws of n chains.
        method: str. "bulk", which takes the normal scores of ranks, or "mean",
            which takes the values.

    Returns:
        float, or float64 array `(features,)`.

    Raises:
        ImportError: if ArviZ's `arviz-stats` is not installed.
        ValueError: if the shape does not fit.

    Example:

    >>> from clel_tf.samplers import diagnostics
    >>> draws = np.random.default_rng(0).normal(size=(500, 4))
    >>> 1500 < diagnostics.effective_sample_size(draws) < 2500
    True

    Reference:
        As for `split_rhat`.
    """
    return _of_chains("ess", draws, method, min_chains=1)


def summarize(trace, features=None, warm_up=0.5) -> dict:
    """Puts the state of chains into a few numbers.

    Args:
        trace: `Trace`.
        features: function of images `(n, ...)` giving `(n, d)`, what should
            not tell chains apart. None for the images' first four principal
            components.
        warm_up: float in [0, 1). Part of the records, the first ones, that
            R-hat, effective sample size and acceptance leave out.

    Returns:
        Dict of floats: `draws`, the records times the chains that are left;
        `rhat_energy` and `ess_energy`; `rhat_features` and `ess_features`, of
        the worst feature; `acceptance`, the mean, where the sampler has one;
        `drift_over_noise` of the median chain, `saturated`, the share of pixels
        at 0 or 1, and `temperature`, all three of the last record.

    Raises:
        ImportError: if ArviZ's `arviz-stats` is not installed.
        ValueError: if `warm_up` is not in its range or leaves fewer than 4
            records, or there are fewer than 2 chains.

    Example: see `clel_tf.samplers.diagnostics_plot.plot`.
    """
    if not 0 <= warm_up < 1:
        raise ValueError(
            f"Expected `warm_up` to be in [0, 1); received: {warm_up!r}."
        )
    left = slice(int(warm_up * len(trace.steps)), None)
    energy, images = trace.energy[left], trace.images[left]
    summary = {
        "draws": float(energy.size),
        "rhat_energy": split_rhat(energy),
        "ess_energy": effective_sample_size(energy),
    }
    if features is None:
        values = _principal_components(images)
    else:
        values = np.stack([np.asarray(features(x)) for x in images])
    summary["rhat_features"] = float(np.max(split_rhat(values)))
    summary["ess_features"] = float(np.min(effective_sample_size(values)))
    if trace.acceptance is not None:
        summary["acceptance"] = float(trace.acceptance[left].mean())
    last = trace.images[-1]
    with np.errstate(divide="ignore", invalid="ignore"):  # without noise
        ratio = np.median(trace.drift[-1]) / trace.noise[-1]
    summary["drift_over_noise"] = float(ratio)
    summary["saturated"] = float(np.mean((last <= 0) | (last >= 1)))
    summary["temperature"] = float(trace.temperature[-1])
    return summary


def quality_by_age(trace, figures) -> dict:
    """Computes figures of the images at every recorded age of the chains.

    Args:
        trace: `Trace`.
        figures: function of float32 images `(n, ...)` giving a dict of floats,
            always of the same names, such as `DigitsEvaluator`'s figures.

    Returns:
        Dict of each name's float64 array `(t,)`, over `trace.steps`.

    Example: see `clel_tf.samplers.diagnostics_plot.plot`.
    """
    rows = [figures(images) for images in trace.images]
    return {
        name: np.array([row[name] for row in rows], "float64")
        for name in rows[0]
    }


def _record(state, step, stops, info):
    """Moves chains from stop to stop, numbers of steps `(t,)`.

    Returns the samples `(t, n, ...)` and the information, of `(t, n)`.
    """
    arrays = tf.nest.map_structure(
        lambda x: tf.TensorArray(x.dtype, len(stops), element_shape=x.shape),
        (state.samples, info),
    )
    steps = tf.constant(np.diff(stops, prepend=0), tf.int32)

    def to_next_stop(i, state, arrays):
        state, seen = chain.run(state, step, steps[i], info)
        arrays = tf.nest.map_structure(
            lambda array, x: array.write(i, x), arrays, (state.samples, seen)
        )
        return i + 1, state, arrays

    _, _, arrays = tf.while_loop(
        lambda i, *_: i < len(stops),
        to_next_stop,
        (tf.constant(0), state, arrays),
    )
    return tf.nest.map_structure(lambda array: array.stack(), arrays)


def _as_trace(sampler, steps, images, info):
    # The first step is the one of number 0.
    size = _values(sampler.step_size, steps - 1)
    noise = _values(sampler.noise_scale, steps - 1)
    pixels = math.prod(images.shape[2:])
    drift = size[:, np.newaxis] * info.gradient_norm / math.sqrt(pixels)
    return Trace(
        **{"acceptance": None, **info._asdict()},
        steps=steps,
        drift=drift.astype("float32"),
        noise=noise.astype("float32"),
        temperature=(noise**2 / (2 * size)).astype("float32"),
        images=images,
    )


def _values(setting, steps):
    """What a number, or a schedule, is at each of the steps; float64."""
    if not callable(setting):
        return np.full(len(steps), setting, "float64")
    return np.array([float(setting(step)) for step in steps])


def _of_chains(name, draws, method, min_chains):
    try:
        from arviz_stats.base import array_stats
    except ImportError as error:
        raise ImportError(
            "Expected ArviZ's arviz-stats, for R-hat and effective sample "
            "sizes: pip install 'clel_tf[diagnostics]'."
        ) from error
    draws = np.asarray(draws, "float64")
    if draws.ndim not in (2, 3) or not (
        draws.shape[0] >= 4 and draws.shape[1] >= min_chains
    ):
        raise ValueError(
            "Expected draws of shape (t, n) or (t, n, features) with t >= 4 "
            f"draws of n >= {min_chains} chains; received: {draws.shape}."
        )
    with np.errstate(divide="ignore", invalid="ignore"):  # see `split_rhat`
        function = getattr(array_stats, name)
        result = function(draws, chain_axis=1, draw_axis=0, method=method)
    return float(result) if draws.ndim == 2 else np.asarray(result)


def _principal_components(images, count=4):
    """Coordinates `(t, n, count)` of images `(t, n, ...)`, or fewer."""
    # Imported here, as it takes a second that other uses need not wait for.
    from sklearn.decomposition import PCA

    pixels = images.reshape(-1, math.prod(images.shape[2:]))
    if not np.isfinite(pixels).all():
        return np.full(images.shape[:2], np.nan)
    analysis = PCA(
        min(count, *pixels.shape), svd_solver="randomized", random_state=0
    )
    return analysis.fit_transform(pixels).reshape(*images.shape[:2], -1)
