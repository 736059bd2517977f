import numpy as np
import pytest
from matplotlib.figure import Figure

from clel_tf.trainers.report import energies as report_energies


def heights(axis, i):
    return axis.patches[i].get_data().values


def test_an_axis_shows_all_sets():
    energies = {"test": np.linspace(0, 10, 1001), "blur": np.full(9, 21.0)}
    low, high = report_energies.axis_limits(energies)
    assert low == pytest.approx(0.05) and high == 21


def test_an_axis_tells_the_data_apart_beside_sets_far_off():
    energies = {
        "train": np.linspace(0, 10, 1001),
        "samples": np.linspace(5, 15, 1001),
        "noise": np.full(9, 1e6),
        "black": np.full(9, -1e6),
    }
    # 99% of training images and samples reach from 0.05 to 14.95.
    expected = 0.05 - 4 * 14.9, 14.95 + 4 * 14.9
    limits = report_energies.axis_limits(energies)
    assert limits == pytest.approx(expected)


def test_an_axis_without_the_data_shows_the_others():
    energies = {"a": np.array([-1e6, -1e6]), "b": np.array([1e6, 1e6])}
    assert report_energies.axis_limits(energies) == (-1e6, 1e6)


@pytest.mark.parametrize("name", ["train", "blur"])
def test_an_axis_has_a_width(name):
    low, high = report_energies.axis_limits({name: np.full(5, 2.0)})
    assert low < 2.0 < high


def test_a_histogram_counts_images():
    axis = Figure().add_subplot()
    values = np.array([0.5] * 3 + [50.5] * 6 + [-100.0] * 2 + [1e9])
    report_energies.draw_histogram(axis, values, (0, 96), values[:3])
    expected = np.zeros(96)
    expected[[0, 50, 95]] = 5 / 6, 1, 1 / 6
    np.testing.assert_allclose(heights(axis, 0), expected)
    np.testing.assert_allclose(heights(axis, 1), [1] + [0] * 95)
    assert axis.get_xlim() == (0, 96)


def test_rows_have_the_figures_and_share_the_last_row():
    figures = {"n": 3, "mean": 2.0, "median": 1.0, "low": 0.5, "high": 5.0}
    rng = np.random.default_rng(0)
    arrays = {
        "energies/train": rng.normal(size=60),
        "energies/samples": np.array([np.nan, 1.0, np.inf, 3.0]),
        "energies/broken": np.full(3, np.nan),
    }
    names = ["train", "samples", "broken", "missing"]
    table = report_energies.table(dict.fromkeys(names, figures), arrays)
    assert [row.name for row in table.rows] == [*names, "energy"]
    drawn = [row.cells[0].picture is not None for row in table.rows]
    assert drawn == [True, True, False, False, True]
    assert table.rows[1].cells[0].picture.alt == (
        "Histogram of the energies of samples: median 2.00, nine tenths from "
        "1.10 to 2.90"
    )
    for row in table.rows[:-1]:
        assert [(c.text, c.interval) for c in row.cells[1:]] == [
            ("1.00", "[0.500, 5.00]"),
            ("2.00", ""),
            ("3", ""),
        ]


def test_figures_without_energies_have_no_axis():
    table = report_energies.table(
        {"train": {"n": 3, "mean": 2.0, "median": 1.0}}, {}
    )
    assert [row.name for row in table.rows] == ["train"]
    assert table.rows[0].cells[0].picture is None
