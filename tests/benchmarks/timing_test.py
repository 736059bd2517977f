import numpy as np
import pytest
import timing


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 0.0

        def perf_counter(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(timing, "time", clock)
    return clock


def test_functions_are_called_in_turn_after_their_warmups():
    called = []
    functions = {name: lambda name=name: called.append(name) for name in "ab"}
    seconds = timing.interleaved(functions, 3, warmups=2)
    assert "".join(called) == "aabb" + "ab" * 3
    assert {name: times.shape for name, times in seconds.items()} == {
        "a": (3,),
        "b": (3,),
    }


def test_the_fastest_call_of_a_round_counts(clock):
    durations = iter([99, 5, 4, 6, 9, 8, 7])

    def work():
        clock.now += next(durations)

    seconds = timing.interleaved({"work": work}, 2, calls=3)
    np.testing.assert_array_equal(seconds["work"], [4, 7])
    assert next(durations, None) is None


def test_a_spread_is_the_median_and_the_quartiles():
    found = timing.spread(np.array([5.0, 1, 2, 3, 4]))
    assert found == {"median": 3, "low": 2, "high": 4}


def test_a_ratio_is_the_median_of_the_rounds_ratios():
    # A slow round slows both: of the ratios 2, 2, 3 the median is 2, though
    # the medians themselves are 6 and 2.
    found = timing.ratio([2.0, 200, 6], [1.0, 100, 2])
    assert found["value"] == 2
    assert found["low"] <= 2 <= found["high"]


def test_a_ratios_interval_covers_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        found = timing.ratio(3 * rng.normal(1, 0.1, 25), np.ones(25))
        covered += found["low"] <= 3 <= found["high"]
    assert 0.9 <= covered / 200 <= 0.99


def test_a_ratios_interval_shrinks_with_rounds():
    # Of a normal's median: 2 * 1.96 * 1.2533 * deviation / sqrt(rounds).
    values = np.random.default_rng(0).normal(3, 0.3, 1000)
    found = timing.ratio(values, np.ones(1000))
    expected = 3.92 * 1.2533 * 0.3 / 1000**0.5
    assert found["high"] - found["low"] == pytest.approx(expected, rel=0.3)
