import numpy as np
import pytest
from matplotlib.figure import Figure

from clel_tf.trainers.report import plots as report_plots


def area(curve):
    false, true = curve
    return np.sum(np.diff(false) * (true[1:] + true[:-1]) / 2)


def chance_of_above(low, high):
    above = high[None, :] > low[:, None]
    equal = high[None, :] == low[:, None]
    return (above + 0.5 * equal).mean()


@pytest.mark.parametrize("levels", [3, 10**6])
def test_the_area_below_a_curve_is_the_chance_of_a_higher_score(levels):
    rng = np.random.default_rng(0)
    low = np.floor(levels * rng.normal(size=2000))
    high = np.floor(levels * (rng.normal(size=900) + 0.7))
    curve = report_plots.roc(low, high)
    assert area(curve) == pytest.approx(chance_of_above(low, high), abs=1e-3)
    assert 30 < len(curve[0]) <= 200 or levels == 3


def test_a_curve_of_sets_apart():
    curve = report_plots.roc(np.zeros(3), np.ones(2))
    np.testing.assert_array_equal(curve, [[0, 0, 1], [0, 1, 1]])


def test_every_score_keeps_its_colour():
    axis = Figure().add_subplot()
    curve = np.array([0, 0.3, 1]), np.array([0, 0.8, 1])
    report_plots.draw_roc(axis, [curve, None, curve] + [None] * 8 + [curve])
    lines = axis.lines[1:]  # the first is the diagonal
    styles = [(line.get_color(), line.get_linestyle()) for line in lines]
    expected = [report_plots.line_style(i) for i in (0, 2, 11)]
    dashes = {"-": "solid", "--": "dashed"}
    assert [(color, dashes[style]) for color, style in styles] == expected
    assert len({report_plots.line_style(i) for i in range(20)}) == 20
    for line in lines:
        np.testing.assert_array_equal(line.get_xydata(), np.transpose(curve))


def test_sets_whose_scores_are_missing_have_no_panel():
    rng = np.random.default_rng(0)
    arrays = {
        f"scores/{score}/{name}": rng.normal(size=20)
        for score in "ab"
        for name in ("test", "blur", "mix", "noise")
    }
    arrays["scores/a/blur"][3] = np.nan
    del arrays["scores/a/mix"], arrays["scores/b/mix"]
    sets = ["blur", "mix", "noise", "other"]
    pictures = report_plots.roc_curves(["a", "b"], sets, arrays)
    assert [picture.caption for picture in pictures] == ["blur", "noise"]


def test_chains_are_shown_by_their_quantiles():
    axis = Figure().add_subplot()
    steps, values = np.arange(4), np.random.default_rng(0).random((4, 101))
    report_plots.draw_chains(axis, steps, values)
    *single, median = axis.lines
    ranked = np.sort(values, axis=1)
    np.testing.assert_allclose(median.get_ydata(), ranked[:, 50])
    for line, chain in zip(single, values.T):
        np.testing.assert_array_equal(line.get_ydata(), chain)
    for band, low, high in zip(axis.collections, (5, 25), (95, 75)):
        corners = band.get_paths()[0].vertices
        for step in steps:
            heights = corners[corners[:, 0] == step, 1]
            ends = heights.min(), heights.max()
            np.testing.assert_allclose(ends, ranked[step, [low, high]])


@pytest.mark.parametrize(
    "values,scale",
    [([1, 19], "linear"), ([1, 21], "log"), ([-1, 21], "linear")],
)
def test_values_over_decades_have_a_logarithmic_axis(values, scale):
    axis = Figure().add_subplot()
    report_plots.draw_chains(axis, [1, 2], np.array(values)[:, None])
    assert axis.get_yscale() == scale


def test_chains_that_diverged_are_left_out():
    values = np.array([[1.0, 5.0, 9.0], [2.0, np.nan, 4.0]])
    arrays = {
        "trace/steps": np.array([3, 6]),
        "trace/energies": values,
        "trace/saturated": np.full((2, 3), np.inf),
    }
    (picture,) = report_plots.chains(arrays)
    assert picture.alt == (
        "Energy of 2 chains over 6 steps; the median goes from 5 to 3"
    )
    assert report_plots.chains({}) == []
