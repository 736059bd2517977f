import pytest
from tiny_model import assert_same

from clel_tf.callbacks import Checkpoints
from clel_tf.callbacks.training_state import copy_state


def begin(directory, model, every=2, **options):
    checkpoints = Checkpoints(directory, every, **options)
    checkpoints.set_model(model)
    checkpoints.on_train_begin()
    return checkpoints


def advance(checkpoints, *steps):
    # What `fit` tells of steps, whose number is all that changes here.
    for step in steps:
        checkpoints.on_train_batch_begin(0)
        checkpoints.model.step.assign(step)
    checkpoints.on_train_batch_begin(0)
    checkpoints.wait()


def saved(directory):
    return [int(path.stem[-9:]) for path in sorted(directory.iterdir())]


def test_the_newest_are_kept_and_some_for_good(model, tmp_path):
    checkpoints = begin(tmp_path, model, keep=2, keep_every=4)
    advance(checkpoints, *range(1, 10))
    assert saved(tmp_path) == [4, 6, 8]
    checkpoints.on_train_end()
    assert saved(tmp_path) == [4, 8, 9]


def test_a_step_that_is_passed_over_is_saved_at_the_next(model, tmp_path):
    advance(begin(tmp_path, model, every=4), 3, 6, 9)
    assert saved(tmp_path) == [6, 9]


def test_nothing_is_saved_where_nothing_was_trained(model, tmp_path):
    checkpoints = begin(tmp_path / "new", model)
    advance(checkpoints)
    checkpoints.on_train_end()
    assert saved(tmp_path / "new") == []


def test_the_best_is_kept_and_known_again(model, tmp_path):
    options = {"every": 100, "keep": 1, "monitor": "val_energy_gap"}
    checkpoints = begin(tmp_path, model, **options)
    for epoch, value in enumerate([3.0, 1.0, 2.0]):
        advance(checkpoints, epoch + 1)
        checkpoints.on_epoch_end(epoch, {"val_energy_gap": value})
    checkpoints.on_train_end()
    assert saved(tmp_path) == [2, 3]
    again = begin(tmp_path, model, **options)
    assert again.restore(model) == 3
    assert again.best == {"value": 1.0, "step": 2}


def test_the_best_may_be_the_greatest(model, tmp_path):
    checkpoints = begin(tmp_path, model, monitor="score", mode="max")
    for epoch, value in enumerate([1.0, 3.0, 2.0]):
        advance(checkpoints, epoch + 1)
        checkpoints.on_epoch_end(epoch, {"score": value})
    assert checkpoints.best == {"value": 3.0, "step": 2}


def tear(path):
    path.write_bytes(path.read_bytes()[:-100])


def tamper(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [tear, tamper])
def test_a_damaged_checkpoint_is_named_and_the_one_before_loaded(
    model, tmp_path, damage, capsys
):
    checkpoints = begin(tmp_path, model)
    advance(checkpoints, 1, 2)
    expected = copy_state(model)
    model.energy_scale.assign(7.0)
    advance(checkpoints, 3, 4)
    path = tmp_path / "step_000000004.npz"
    damage(path)
    assert checkpoints.restore(model) == 2
    assert str(path) in capsys.readouterr().out
    assert_same(copy_state(model), expected)


def test_without_a_whole_checkpoint_nothing_is_begun(model, tmp_path):
    checkpoints = begin(tmp_path, model)
    advance(checkpoints, 1, 2)
    tear(tmp_path / "step_000000002.npz")
    state = copy_state(model)
    with pytest.raises(ValueError, match="received: 1, all of them damaged"):
        checkpoints.restore(model)
    assert_same(copy_state(model), state)


def test_without_a_checkpoint_training_begins(model, tmp_path):
    assert Checkpoints(tmp_path / "none", 2).restore(model) == 0


def test_another_configuration_is_refused(model, tmp_path):
    old = {"recipe": {"steps": 2, "rates": (1, 2)}, "seed": 0}
    advance(begin(tmp_path, model, configuration=old), 2)
    same = Checkpoints(tmp_path, 2, configuration=old)
    assert same.restore(model) == 2
    new = {**old, "seed": 1}
    with pytest.raises(ValueError, match="seed: 0 there, 1 asked for"):
        Checkpoints(tmp_path, 2, configuration=new).restore(model)


def test_a_course_that_was_left_is_removed(model, tmp_path):
    checkpoints = begin(tmp_path, model, keep_every=2)
    advance(checkpoints, 2, 4, 6, 8)
    for step in (6, 8):
        tear(tmp_path / f"step_00000000{step}.npz")
    checkpoints.restore(model)
    checkpoints.on_train_begin()
    advance(checkpoints, 6)
    assert saved(tmp_path) == [2, 4, 6]
    assert checkpoints.restore(model) == 6


def test_what_a_killed_process_left_is_removed(model, tmp_path):
    left = tmp_path / ".123_step_000000002.npz"
    left.write_bytes(b"half")
    other = tmp_path / "step_notes.txt"
    other.write_text("mine")
    begin(tmp_path, model)
    assert list(tmp_path.iterdir()) == [other]


def test_a_full_disk_is_told_and_the_last_good_state_kept(
    model, tmp_path, full_disk
):
    checkpoints = begin(tmp_path, model)
    advance(checkpoints, 1, 2)
    expected = copy_state(model)
    with full_disk(1000):
        with pytest.raises(OSError, match="step_000000004.npz could not be"):
            advance(checkpoints, 3, 4)
    assert saved(tmp_path) == [2]
    assert checkpoints.restore(model) == 2
    assert_same(copy_state(model), expected)


def test_training_ends_only_when_its_checkpoint_is_written(
    model, tmp_path, full_disk
):
    checkpoints = begin(tmp_path, model)
    model.step.assign(1)
    with full_disk(1000):
        with pytest.raises(OSError, match="step_000000001.npz could not be"):
            checkpoints.on_train_end()


@pytest.mark.parametrize(
    "options", [{"every": 0}, {"every": 1.5}, {"every": 1, "keep": 0}]
)
def test_counts_are_positive_ints(options, tmp_path):
    with pytest.raises(ValueError, match="to be a positive int"):
        Checkpoints(tmp_path, **options)


def test_modes_are_two(tmp_path):
    with pytest.raises(ValueError, match="'min', 'max'.*received: 'mean'"):
        Checkpoints(tmp_path, 1, mode="mean")
