import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_model import assert_same
from tiny_model import build

from clel_tf.callbacks import MetricsLogger
from clel_tf.callbacks import Resume
from clel_tf.callbacks.training_state import copy_state
from clel_tf.callbacks.training_state import set_state

EPOCHS, STEPS = 3, 5


class Epochs(keras.callbacks.Callback):
    # Notes where epochs end, and interrupts training.
    def __init__(self, stop_after):
        super().__init__()
        self.stop_after = stop_after
        self.ends = []

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.step.numpy()) == self.stop_after:
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch, logs=None):
        self.ends.append((epoch, int(self.model.step.numpy())))


def program(folder, built, data, stop_after=None, seed=0, every=3):
    # One process: a new model that knows nothing of those before.
    model, untrained = built
    set_state(model, untrained)
    resume = Resume(folder / "checkpoints", every)
    if isinstance(data, np.ndarray):
        batches = tf.data.Dataset.from_tensor_slices(data).batch(8)
    else:
        batches = resume.batches(data, 8, seed, steps_per_epoch=STEPS)
    epochs = Epochs(stop_after)
    model.fit(
        batches,
        epochs=EPOCHS,
        verbose=0,
        callbacks=[MetricsLogger(folder, 8, every=2), epochs, resume],
    )
    return epochs.ends, copy_state(model)


def interrupted(folder, built, data, stop_after):
    with pytest.raises(KeyboardInterrupt):
        program(folder, built, data, stop_after)


@pytest.fixture(scope="module")
def uninterrupted(built, digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    return folder, *program(folder, built, digits)


def test_without_an_interruption_epochs_are_whole(uninterrupted):
    assert uninterrupted[1] == [(0, 5), (1, 10), (2, 15)]


# Checkpoints are of the steps 3, 6, 9, ...
@pytest.mark.parametrize(
    "stops, ends",
    [
        ([2], [(0, 5), (1, 10), (2, 15)]),
        ([8], [(1, 10), (2, 15)]),
        ([4, 8, 13], [(2, 15)]),
    ],
)
def test_a_program_that_runs_again_comes_to_the_same_end(
    uninterrupted, built, digits, tmp_path, stops, ends
):
    folder, _, expected = uninterrupted
    for stop in stops:
        interrupted(tmp_path, built, digits, stop)
    found, state = program(tmp_path, built, digits)
    assert found == ends
    assert_same(state, expected)
    metrics = (tmp_path / "metrics.csv").read_bytes()
    assert metrics == (folder / "metrics.csv").read_bytes()


def test_a_program_whose_work_is_done_does_nothing(
    uninterrupted, built, digits, capsys
):
    folder, _, expected = uninterrupted
    before = (folder / "metrics.csv").read_bytes()
    ends, state = program(folder, built, digits)
    assert ends == []
    assert_same(state, expected)
    assert (folder / "metrics.csv").read_bytes() == before
    assert "from step 15." in capsys.readouterr().out


def test_other_data_resume_at_the_epoch_and_that_is_said(
    built, digits, tmp_path, capsys
):
    images = digits.x_train[: 8 * STEPS]
    (tmp_path / "whole").mkdir()
    _, expected = program(tmp_path / "whole", built, images)
    interrupted(tmp_path, built, images, stop_after=9)
    assert "Continuing" not in capsys.readouterr().out
    ends, state = program(tmp_path, built, images)
    told = capsys.readouterr().out
    assert "from step 5, the beginning of epoch 2. Only the data of" in told
    assert ends == [(1, 10), (2, 15)]
    assert_same(state, expected)  # as these come in the same order each epoch


def test_another_way_through_the_data_is_refused(built, digits, tmp_path):
    interrupted(tmp_path, built, digits, stop_after=4)
    with pytest.raises(ValueError, match="data.seed: 0 there, 1 asked for"):
        program(tmp_path, built, digits, seed=1)
    images = digits.x_train[:40]
    with pytest.raises(ValueError, match="data: {.*} there, None asked for"):
        program(tmp_path, built, images)


def begun(directory, model, digits):
    resume = Resume(directory, every=1)
    resume.batches(digits, 8, seed=0, steps_per_epoch=STEPS)
    resume.set_model(model)
    resume.on_train_begin()
    return resume


def save(directory, model, digits):
    resume = begun(directory, model, digits)
    model.step.assign(1)
    resume.on_train_end()


def test_a_changed_model_is_refused(model, digits, tmp_path, monkeypatch):
    save(tmp_path, model, digits)
    model.step.assign(0)
    with monkeypatch.context() as patch:
        patch.setattr(model, "alpha", 3.0)
        with pytest.raises(ValueError, match="alpha: 1.0 there, 3.0 asked for"):
            begun(tmp_path, model, digits)
    begun(tmp_path, model, digits)


def test_what_training_and_keras_change_is_no_other_model(digits, tmp_path):
    first, second = build(), build()
    assert first.energy_network.name != second.energy_network.name
    first.compile(energy_optimizer="adam")
    second.compile(energy_optimizer="adam")
    resume = begun(tmp_path, first, digits)
    first.optimizer.learning_rate = 0.5  # as a callback may
    first.energy_scale.assign(0.25)
    first.step.assign(1)
    resume.on_train_end()
    begun(tmp_path, first, digits)
    begun(tmp_path, second, digits)
    assert_same(copy_state(second), copy_state(first))


def test_a_model_that_is_ahead_of_the_checkpoints_stays(
    model, digits, tmp_path
):
    save(tmp_path, model, digits)
    model.step.assign(2)
    begun(tmp_path, model, digits)
    assert int(model.step.numpy()) == 2


@pytest.mark.slow
def test_replicas_resume_with_their_own_chains(digits, tmp_path):
    strategy = tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"],
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )
    with strategy.scope():
        model = build()
    built = model, copy_state(model)
    (tmp_path / "whole").mkdir()
    _, expected = program(tmp_path / "whole", built, digits)
    interrupted(tmp_path, built, digits, stop_after=8)
    ends, state = program(tmp_path, built, digits)
    assert ends == [(1, 10), (2, 15)]
    assert_same(state, expected)
