import os
import signal
import threading

import keras
import pytest

from clel_tf.callbacks import Checkpoints
from clel_tf.callbacks import StopOnSignal
from clel_tf.callbacks import checkpoint_file


def terminate(*_, **__):
    os.kill(os.getpid(), signal.SIGTERM)


def fit(model, digits, directory, steps=4, **hooks):
    checkpoints = Checkpoints(directory, every=100)
    model.fit(
        digits.train(batch_size=8, seed=0),
        steps_per_epoch=steps,
        verbose=0,
        callbacks=[
            keras.callbacks.LambdaCallback(**hooks),
            checkpoints,
            StopOnSignal(checkpoints),
        ],
    )


@pytest.mark.parametrize(
    "hook, step",
    [
        ("on_train_batch_begin", 0),
        ("on_train_batch_end", 1),
        ("on_epoch_end", 4),
        ("on_train_end", 4),
    ],
)
def test_it_saves_and_ends_with_the_signals_status(
    model, digits, tmp_path, capsys, hook, step
):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as end:
        fit(model, digits, tmp_path, **{hook: terminate})
    assert end.value.code == 143
    assert f"Stopped by SIGTERM at step {step};" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGTERM) == before
    saved = [checkpoint_file.read(path)[0] for path in tmp_path.iterdir()]
    assert [record["step"] for record in saved] == [step] * bool(step)


def test_without_a_signal_nothing_changes(model, digits, tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    fit(model, digits, tmp_path, steps=2)
    assert signal.getsignal(signal.SIGTERM) == before
    assert [p.name for p in tmp_path.iterdir()] == ["step_000000002.npz"]


def test_a_second_signal_is_not_held_up(model, tmp_path):
    told = []
    before = signal.signal(signal.SIGTERM, lambda *_: told.append("second"))
    try:
        stop = StopOnSignal(Checkpoints(tmp_path, every=1))
        stop.set_model(model)
        stop.on_train_begin()
        os.kill(os.getpid(), signal.SIGTERM)
        assert told == []
        os.kill(os.getpid(), signal.SIGTERM)
        assert told == ["second"]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_other_threads_train_without_it(model, digits, tmp_path):
    thread = threading.Thread(target=fit, args=(model, digits, tmp_path))
    thread.start()
    thread.join()
    assert (tmp_path / "step_000000004.npz").is_file()
