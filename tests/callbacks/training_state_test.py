import numpy as np
import pytest
import tensorflow as tf
from tiny_model import assert_same
from tiny_model import build

from clel_tf.callbacks.training_state import copy_state
from clel_tf.callbacks.training_state import set_state


def fit(model, digits, steps):
    start = int(model.step.numpy())
    batches = digits.train(batch_size=8, seed=0, start_step=start)
    model.fit(batches, steps_per_epoch=steps, verbose=0)


def test_training_goes_on_from_a_state_as_it_did(model, digits):
    fit(model, digits, steps=2)
    state = copy_state(model)
    fit(model, digits, steps=3)
    expected = copy_state(model)
    set_state(model, state)
    assert_same(copy_state(model), state)
    fit(model, digits, steps=3)
    assert_same(copy_state(model), expected)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda s: s.pop("model/0003"), r"model/0003 .*received: missing"),
        (
            lambda s: s.update({"replay_buffer/ages": np.zeros(9, np.int32)}),
            r"replay_buffer/ages is int32\[32\] here; received: int32\[9\]",
        ),
        (
            lambda s: s.update({"energy_optimizer/0000": np.zeros((), "f4")}),
            r"int64\[\] here; received: float32\[\]",
        ),
        (lambda s: s.update(more=np.zeros(1)), "more is missing here"),
    ],
)
def test_a_state_of_another_model_is_refused_whole(model, change, words):
    state = copy_state(model)
    changed = {name: array + 1 for name, array in state.items()}
    change(changed)
    with pytest.raises(ValueError, match=words):
        set_state(model, changed)
    assert_same(copy_state(model), state)


def test_every_replicas_chains_are_in_the_state(model):
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        mirrored = build()
    chains = np.arange(32 * 64, dtype="uint8").reshape(32, 8, 8, 1)
    state = {**copy_state(model), "replay_buffer/images": chains}
    set_state(mirrored, state)
    assert_same(copy_state(mirrored), state)
    shards = mirrored.replay_buffer._images.value.values
    assert [shard.shape[0] for shard in shards] == [16, 16]
