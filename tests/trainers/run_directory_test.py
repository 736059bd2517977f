import pytest

from clel_tf.trainers.run_directory import RunDirectory

CONFIG = {"seed": 0, "recipe": {"recipe": {"steps": 2}}}


def test_half_a_configuration_is_no_other_file(tmp_path):
    (tmp_path / ".123_config.json").write_text('{"seed"')
    directory = RunDirectory(tmp_path)
    directory.check(CONFIG)
    directory.create(CONFIG)
    directory.check(directory.stored_config())


def test_other_files_are_left_alone(tmp_path):
    (tmp_path / ".hidden.json").write_text("mine")
    with pytest.raises(ValueError, match="holds other files"):
        RunDirectory(tmp_path).check(CONFIG)


def test_a_finished_run_says_how_to_train_it_further(tmp_path):
    directory = RunDirectory(tmp_path / "run")
    directory.create(CONFIG)
    more = {**directory.stored_config(), "seed": 1}
    with pytest.raises(ValueError) as refused:
        directory.check(more)
    assert "seed: 0 there, 1 asked for" in str(refused.value)
    assert "init_from" not in str(refused.value)
    directory.finish({})
    with pytest.raises(ValueError, match=f"--init_from={tmp_path / 'run'}"):
        directory.check(more)


def test_one_process_trains_in_a_directory(tmp_path):
    first, second = RunDirectory(tmp_path), RunDirectory(tmp_path)
    with first.locked():
        with pytest.raises(ValueError, match="Another process is training in"):
            with second.locked():
                pass
    with second.locked():
        pass
