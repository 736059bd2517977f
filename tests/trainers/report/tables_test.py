import pytest

from clel_tf.trainers.report import tables as report_tables


@pytest.mark.parametrize(
    "value,text",
    [
        (None, "–"),
        (0, "0.00"),
        (0.21249, "0.212"),
        (-0.00123, "-0.00123"),
        (0.1, "0.100"),
        (9.996, "10.0"),
        (99.94, "99.9"),
        (99.96, "100"),
        (-1234567.8, "-1,234,568"),
        (float("inf"), "inf"),
    ],
)
def test_numbers_have_three_digits(value, text):
    assert report_tables.number(value) == text


@pytest.mark.parametrize(
    "figure,text,interval",
    [
        (0.5, "0.500", ""),
        (None, "–", ""),
        ({"value": 0.5}, "0.500", ""),
        ({"value": 0.5, "low": None, "high": 1}, "0.500", ""),
        ({"value": 0.5, "low": 0, "high": 1}, "0.500", "[0.00, 1.00]"),
    ],
)
def test_figures_may_have_intervals(figure, text, interval):
    cell = report_tables.cell(figure)
    assert (cell.text, cell.interval) == (text, interval)


def of_scores(name, rows):
    """Which of the scores a, b and c are marked, set by set."""
    sets = {
        f"set {i}": {"detection": {s: {name: x} for s, x in row.items()}}
        for i, row in enumerate(rows)
    }
    entry = {"scores": dict.fromkeys("abc", {}), "sets": sets}
    table = report_tables.detection(entry, name)
    assert [row.name for row in table.rows] == list(sets)
    return [[cell.best for cell in row.cells] for row in table.rows]


def test_the_best_score_of_each_set_is_marked():
    rows = [
        {"a": 0.9, "b": 0.8, "c": 0.7},
        {"a": 0.5, "b": {"value": 0.5001, "low": 0, "high": 1}, "c": 0.5},
    ]
    marked = [[True, False, False], [False, True, False]]
    assert of_scores("auroc", rows) == marked
    marked = [[False, False, True], [True, False, True]]
    assert of_scores("fpr_at_95_tpr", rows) == marked


def test_scores_without_a_figure_are_not_marked():
    rows = [{"b": 0.4}, {}]
    marked = [[False, True, False], [False] * 3]
    assert of_scores("aupr_in", rows) == marked


def test_metrics_that_are_not_known_have_their_names():
    extractors = {"mine": {"metrics": {"a_new_metric": 0.5}}}
    table = report_tables.quality({"extractors": extractors})
    assert table.rows[0].name == "a new metric"
    assert table.rows[0].better == ""
    assert (table.groups, table.columns) == ([("mine", 1)], ["samples"])
