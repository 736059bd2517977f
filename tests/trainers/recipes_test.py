import json

import pytest

from clel_tf import presets
from clel_tf.trainers import recipes
from clel_tf.trainers.run_directory import RunDirectory


@pytest.mark.parametrize(
    "name, expected",
    [
        ("simclr", {"kind": "simclr"}),
        (
            "simclr_no_negatives",
            {"kind": "simclr", "generated_negatives": False},
        ),
        ("byol", {"kind": "byol"}),
        ("masked", {"kind": "masked"}),
        ("supervised", {"kind": "supervised"}),
        ("frozen:a:b.keras", {"kind": "frozen", "path": "a:b.keras"}),
        ("none", {"kind": "none"}),
    ],
)
def test_a_name_gives_a_teachers_part(name, expected):
    recipe = presets.get("digits")
    changed = recipes.with_teacher(recipe, name)
    assert changed["teacher"] == expected
    # What is not trained is no part, and nothing guides without a teacher.
    kind = expected["kind"]
    assert ("encoder" in changed) == (kind not in ("frozen", "none"))
    assert (changed["model"]["beta"] == 0.0) == (kind == "none")
    assert recipe == presets.get("digits")


def test_settings_of_a_teacher_are_set():
    recipe = recipes.with_teacher(presets.get("digits"), "supervised")
    changed = recipes.override(recipe, ["teacher.temperature=0.3"])
    assert changed["teacher"] == {"kind": "supervised", "temperature": 0.3}


@pytest.mark.parametrize("name", ["oracle", "byol:x", ""])
def test_unknown_teachers_are_refused(name):
    with pytest.raises(ValueError, match="Expected a teacher .*simclr, byol"):
        recipes.with_teacher(presets.get("digits"), name)


def of_before():
    recipe = presets.get("digits")
    teacher = recipe.pop("teacher")
    recipe["model"]["temperature"] = teacher["temperature"]
    return recipe


def test_a_recipes_file_of_before_there_were_teachers_is_read(tmp_path):
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(of_before()))
    assert recipes.read(str(path)) == presets.get("digits")


def test_a_run_of_before_there_were_teachers_goes_on(tmp_path):
    directory = RunDirectory(tmp_path / "run")
    now = presets.with_dtypes(presets.get("digits"), "float32")
    old = presets.with_dtypes(of_before(), "float32")
    directory.create({"seed": 0, "recipe": old})
    rest = {"guard": "learning_rate", "data_faults": "raise"}
    directory.check({"seed": 0, "recipe": now, **rest})
    other = recipes.with_teacher(now, "byol")
    with pytest.raises(ValueError, match="teacher.kind: 'simclr' there"):
        directory.check({"seed": 0, "recipe": other, **rest})
