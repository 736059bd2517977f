import bench_tables as tables


def test_ratios_stand_beside_their_targets():
    names = list(tables.RATIOS)
    values = dict.fromkeys(names, 0.5) | {"f32_vs_torch_eager": None}
    intervals = {k: v and [v / 2, 1234.5] for k, v in values.items()}
    rows = tables.ratios({"ratios": values, "intervals": intervals})[1:]
    assert [row[0] for row in rows] == names
    by_name = {row[0]: row for row in rows}
    assert by_name["f32_vs_torch_eager"][1:3] == ("none", "")
    assert by_name["f32_vs_torch_eager"][-1] == ""
    # At least 1, but at most 1.05.
    assert by_name["best_vs_best_torch"][2] == "0.25 to 1234"
    assert by_name["best_vs_best_torch"][-1] == "no"
    assert by_name["memory_600_vs_60_steps"][-1] == "yes"


def test_a_section_has_every_column_of_its_rows():
    spread = {"median": 2.0, "low": 1.0, "high": 3.14159}
    found = tables.section("Times", [{"a": 1, "b_c": spread}, {"d": 0.0}])
    assert found.splitlines() == [
        "## Times",
        "",
        "| a | b c | d |",
        "| --- | --- | --- |",
        "| 1 | 2 (1 to 3.14) |  |",
        "|  |  | 0 |",
    ]


def test_columns_are_aligned():
    rows = [("a", "long", "x"), ("longer", "b", "")]
    assert tables.aligned(rows) == "a       long  x\nlonger  b"
