import dataclasses
import json

import numpy as np
import pytest
import study
import study_cell
import study_grid
import study_report


@pytest.mark.parametrize(
    "group", [study_grid.tuning, study_grid.cifar16_tuning]
)
def test_both_sides_have_an_equal_budget(group):
    tuning = group()
    tried = {
        arm: {
            (cell.arm.removeprefix(arm), cell.seed, cell.seconds)
            for cell in tuning
            if cell.arm.partition("+")[0] == arm
        }
        for arm in (study_grid.PLAIN, study_grid.CLEL)
    }
    assert tried[study_grid.PLAIN] == tried[study_grid.CLEL]
    assert len(tuning) == 2 * len(tried[study_grid.PLAIN])


def test_nothing_is_tuned_on_the_seeds_that_are_compared():
    tuning = study_grid.tuning() + study_grid.cifar16_tuning()
    tuned = {cell.seed for cell in tuning}
    for group in (
        study_grid.primary,
        study_grid.descriptive,
        study_grid.cifar16,
    ):
        assert not tuned & {cell.seed for cell in group()}


def test_cells_tell_their_results_apart():
    groups = [group() for group in study_grid.GROUPS.values()]
    cells = {cell for group in groups for cell in group}
    assert len({cell.key for cell in cells}) == len(cells)
    assert len({cell.name for cell in cells}) == len(cells)


def test_an_arm_changes_what_it_names_and_nothing_else():
    usual = study_grid.Cell("clel", 0).recipe()
    changed = study_grid.Cell("published_beta", 0).recipe()
    assert changed["model"].pop("beta") == 0.01
    assert usual["model"].pop("beta") == 0.001
    changed["recipe"].pop("steps"), usual["recipe"].pop("steps")
    assert changed == usual


def test_plain_has_neither_encoder_nor_guidance():
    recipe = study_grid.Cell("plain", 0).recipe()
    assert "encoder" not in recipe and recipe["model"]["beta"] == 0.0


def test_steps_are_what_the_seconds_allow(monkeypatch, tmp_path):
    path = tmp_path / "rates.json"
    rates = {"plain": 0.1, "clel": 0.2, "clel+visits_10": 0.15}
    path.write_text(json.dumps({"digits": rates}))
    monkeypatch.setattr(study_grid, "RATES", path)
    assert study_grid.steps("plain", 300) == 3000
    assert study_grid.steps("clel", 300) == 1520  # a multiple of 40
    assert study_grid.steps("clel+visits_10", 300) == 2000
    assert study_grid.steps("clel+age_140", 300) == 1520


@pytest.fixture
def seconds_are_steps(monkeypatch):
    monkeypatch.setattr(study_grid, "seconds_per_step", lambda *_: 1.0)


def _row(distances, arm="clel", precision=0.5):
    curve = [
        {
            "step": 100 * 2**i,
            "frechet_distance": distance,
            "precision": precision,
            "coverage": 0.25,
        }
        for i, distance in enumerate(distances)
    ]
    return {"arm": arm, "setting": "digits", "curve": curve}


@pytest.mark.parametrize(
    "goal,expected",
    [
        (4.0, 100.0),
        (9.0, 100.0),  # before the first point: no earlier than it
        (1.0, 400.0),
        (2.0, 200.0),
        (2.0**0.5, 200.0 * 2.0**0.5),  # distance ~ 1 / time between points
        (0.5, None),
    ],
)
def test_time_to_a_distance(seconds_are_steps, goal, expected):
    time = study_report.time_to(_row([4.0, 2.0, 1.0]), goal)
    assert time == (expected and pytest.approx(expected))


def test_comparison_of_known_rows(seconds_are_steps):
    plain = [_row([4.0, 2.0, 1.0], "plain", 0.4) for _ in range(3)]
    clel = [_row([4.0, 1.0, 0.5]), _row([4.0, 3.0, 1.5])]
    result = study_report.comparison(plain, clel)
    assert result["precision"] == {
        "means": [pytest.approx(0.4), 0.5],
        "difference": pytest.approx(0.1),
        "low": pytest.approx(0.1),
        "high": pytest.approx(0.1),
    }
    distance = result["frechet_distance"]
    assert distance["difference"] == 0.0
    # Means of two drawn from 0.5 and 1.5, a quarter of them of each alone.
    assert (distance["low"], distance["high"]) == (-0.5, 0.5)
    assert result["time_to_end"] == [pytest.approx(0.5), None]


def test_a_diverged_run_is_counted_and_has_no_figures(seconds_are_steps):
    costs = {"knn": 0.9, "beta": 0.001, "energy": 0.001, "peak_mb": 1000}
    fine = {**_row([4.0, 2.0, 1.0]), **costs, "failed": False}
    early = {**_row([4.0]), "diverged": "energies grew", "failed": True}
    table = study_report.arms_table({"clel": [fine, early]}, {})
    cells = [cell.strip() for cell in table.splitlines()[-1].split("|")[1:-1]]
    assert cells[:3] == ["clel", "2", "1.00 (1.00 to 1.00)"]
    assert cells[7] == "1"
    table = study_report.arms_table({"clel": [early]}, {})
    assert table.splitlines()[-1].startswith("| clel | 1 | diverged |")


def test_classes_left_out_are_compared_in_pairs():
    sides = [study_grid.tuned(x) for x in (study_grid.PLAIN, study_grid.CLEL)]
    found = {}
    for cell in study_grid.classes():
        if cell.arm in sides and cell.left_out < 4:
            own = 0.5 + 0.1 * cell.left_out + 0.05 * sides.index(cell.arm)
            scores = {"own": own, "marginal_energy": 0.25}
            found[cell.key] = {"auroc": scores}
    table = study_report.classes_table(found)
    lines = table.splitlines()
    assert lines[2:7] == [
        "| 0 | 0.500 | 0.250 | 0.550 |",
        "| 1 | 0.600 | 0.250 | 0.650 |",
        "| 2 | 0.700 | 0.250 | 0.750 |",
        "| 3 | 0.800 | 0.250 | 0.850 |",
        "| mean | 0.650 | 0.250 | 0.700 |",
    ]
    # All pairs differ alike, however much the classes do.
    assert "+0.050 (95% interval +0.050 to +0.050)" in lines[-1]
    assert study_report.classes_table({}) == "Not run."


def test_missing_cells_are_named():
    cell, *others = study_grid.primary()
    names = study_report.missing({x.key: {} for x in others})
    assert names["primary"] == [cell.name]
    assert len(names["cifar16"]) == len(study_grid.cifar16())


def test_finished_cells_are_kept_and_not_run_again(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "RESULTS", tmp_path / "study.jsonl")
    assert study.rows() == {}
    made = []

    def finish(cells, jobs, folder):
        for cell in cells:
            made.append(cell)
            row = {**dataclasses.asdict(cell), "failed": False}
            figures = {x: 0.5 for x in study_report._FIGURES}
            yield {
                **row,
                "key": cell.key,
                "name": cell.name,
                "curve": [{"step": 1, **figures}],
            }

    monkeypatch.setattr(study, "_results", finish)
    cells = study_grid.short()
    study.run(cells[:1], 1, tmp_path)
    assert [*study.rows()] == [cells[0].key]
    monkeypatch.setattr("sys.argv", ["study.py", "short"])
    study.main()
    assert made == cells
    assert [*study.rows()] == [cell.key for cell in cells]


@pytest.mark.slow
def test_a_cell_is_trained_and_judged(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "RESULTS", tmp_path / "study.jsonl")
    cell = study_grid.Cell("clel", 0, 8)
    study.run([cell], 1, tmp_path / "runs")
    row = study.rows()[cell.key]
    points = row["curve"]
    assert (
        points[-1]["step"] == row["steps"] == cell.recipe()["recipe"]["steps"]
    )
    distances = [point["frechet_distance"] for point in points]
    assert distances[-1] < distances[0]
    summary = json.loads(
        (tmp_path / "runs" / cell.name / "summary.json").read_text()
    )
    # The last point is of the samples that the run itself is judged by.
    np.testing.assert_allclose(
        distances[-1], summary["frechet_distance"], rtol=1e-3
    )
    assert 0.5 < row["knn"] < 1.0 and row["failed"] is (distances[-1] > 1.1)


@pytest.mark.slow
def test_a_cell_that_diverges_is_a_failed_row(tmp_path, monkeypatch):
    arm = study_grid.Arm(
        changes=("recipe.energy_optimizer.learning_rate=1e30",)
    )
    monkeypatch.setitem(study_grid.ARMS, "wild", arm)
    cell = study_grid.Cell("wild+visits_5", 0, 38)
    assert cell.recipe()["recipe"]["steps"] == 320
    row = study_cell.run(cell, tmp_path / cell.name)
    assert row["failed"] and "learning rate" in row["diverged"]
    assert row["curve"] == []
    line = study.told({"name": cell.name, **row})
    assert line.split() == [cell.name, "diverged"]
