"""Times of functions beside each other, and ratios with their intervals."""

import time

import numpy as np

RESAMPLES = 2000


def interleaved(functions, rounds, warmups=1, calls=1):
    """Times functions in turn, so that a slow spell meets all of them.

    Args:
        functions: dict from names to functions without arguments, which return
            when their work is done.
        rounds: int. How often each one is timed.
        warmups: int. Calls of each one before that.
        calls: int. Calls a round, one after another, of which the fastest
            counts.

    Returns:
        dict from names to arrays `(rounds,)` of seconds.
    """
    for function in functions.values():
        for _ in range(warmups):
            function()
    seconds = {name: np.empty(rounds) for name in functions}
    for index in range(rounds):
        for name, function in functions.items():
            seconds[name][index] = min(_time(function) for _ in range(calls))
    return seconds


def spread(values):
    """Median and quartiles, as a dict."""
    low, median, high = np.percentile(values, (25, 50, 75))
    return {"median": median, "low": low, "high": high}


def ratio(numerator, denominator, seed=0):
    """The median over rounds of a ratio, with its 95% bootstrap interval.

    Args:
        numerator: array `(rounds,)`.
        denominator: array `(rounds,)` of the same rounds.
        seed: int.

    Returns:
        dict of floats: value, low, high.
    """
    ratios = np.asarray(numerator) / np.asarray(denominator)
    draws = np.random.default_rng(seed).choice(ratios, (RESAMPLES, len(ratios)))
    low, high = np.percentile(np.median(draws, axis=1), (2.5, 97.5))
    return {"value": np.median(ratios), "low": low, "high": high}


def _time(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
