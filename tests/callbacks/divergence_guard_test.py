import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from clel_tf import presets
from clel_tf.callbacks import DivergenceError
from clel_tf.callbacks import DivergenceGuard
from clel_tf.callbacks import Resume
from clel_tf.callbacks.training_snapshot import TrainingSnapshot
from clel_tf.models.vital_signs import SIGNS
from clel_tf.samplers import MALA

BATCH = 8


def build():
    config = presets.get("digits")
    small = {"widths": [8], "depths": [1], "head_width": 8, "latent_dim": 8}
    for part in ("energy_network", "encoder"):
        config[part].update(small, dtype="float32")
    config["sampler"].update(num_steps=2, sample_steps=2)
    config["replay_buffer"]["capacity"] = 32
    model = presets.build(config)
    model.compile(total_steps=100)
    return model


@pytest.fixture(scope="module")
def shared():
    return build()


@pytest.fixture
def model(shared):
    # One model, whose step is traced once, begins anew for every test.
    start = TrainingSnapshot(shared)
    yield shared
    start.restore()
    for variable in counters(shared):
        variable.assign(1 if "scale" in variable.name else 0)


def counters(model):
    own = [model.step, model.reseeds, model.skipped_steps]
    return [*own, *model.vital_signs.lasting]


PARTS = (
    "energy_network",
    "encoder",
    "optimizer",
    "encoder_optimizer",
    "replay_buffer",
    "ema_energy_network",
    "ema_encoder",
    "vital_signs",
)


def state(model):
    """All that training changes, but what only counts, by part and number."""
    counted = {id(variable) for variable in counters(model)}
    found = {
        f"{part} {i}": np.array(variable.numpy())
        for part in PARTS
        for i, variable in enumerate(getattr(model, part).variables)
        if id(variable) not in counted
    }
    return {**found, "energy_scale": model.energy_scale.numpy()}


def assert_equal(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def images(steps):
    rng = np.random.default_rng(0)
    return rng.random((steps * BATCH, 8, 8, 1), "float32")


def fit(model, data, *callbacks):
    options = {"batch_size": BATCH, "shuffle": False, "verbose": 0}
    model.fit(data, callbacks=list(callbacks), **options)


def incidents(directory):
    path = directory / "incidents.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


class States(keras.callbacks.Callback):
    """Keeps a model's state after each step, and may change it after one."""

    def __init__(self, at=None, change=None):
        super().__init__()
        self.at, self.change, self.states = at, change, {}

    def on_train_batch_end(self, batch, logs=None):
        step = int(self.model.step.numpy())
        self.states[step] = state(self.model)
        if step == self.at:
            self.change(self.model)


def poison(model):
    """Fills the replay buffer with random black and white pixels."""
    buffer = {}
    model.replay_buffer.save_own_variables(buffer)
    shape = buffer["images"].shape
    pixels = np.random.default_rng(1).integers(0, 2, shape) * 255
    buffer["images"] = pixels.astype("uint8")
    model.replay_buffer.load_own_variables(buffer)


def go_wrong(model, name="gradient_norm", step=7, value=0.9):
    """Leaves what a sign's departure leaves."""
    departed = np.zeros((3, len(SIGNS)), "float32")
    departed[:, list(SIGNS).index(name)] = 1.0, value, 0.5
    model.vital_signs.departed.assign(departed)
    model.vital_signs.first_step.assign(step)


def guard_of(model, *arguments, **options):
    """A guard in the midst of training, which looks at every step."""
    guard = DivergenceGuard(*arguments, every=1, **options)
    guard.set_model(model)
    guard.on_train_begin()
    guard.on_epoch_begin(0)
    return guard


def look(guard, steps=1):
    """Steps that change nothing, and the guard's look after each."""
    for _ in range(steps):
        guard.model.step.assign_add(1)
        guard.on_train_batch_end(0)


# === Healthy training ===


def test_a_guarded_run_is_the_unguarded_one_bit_for_bit(
    model, tmp_path, capsys
):
    start = TrainingSnapshot(model)
    fit(model, images(110))
    expected = state(model)
    start.restore()
    model.step.assign(0)
    fit(model, images(110), DivergenceGuard(tmp_path, every=3))
    assert_equal(state(model), expected)
    assert not list(tmp_path.iterdir()) and not capsys.readouterr().out


# === Incidents ===


def test_a_batch_with_nan_is_told_and_its_step_alone_undone(
    model, tmp_path, capsys
):
    data = images(12)
    data[6 * BATCH, 3, 3] = np.nan
    kept = States()
    fit(model, data, kept, DivergenceGuard(tmp_path, every=4))
    (record,) = incidents(tmp_path)
    assert record["step"] == 7 and record["seen_at"] == 8
    assert record["action"] == "undone"
    assert record["faults"] == {"images": 1, "chains": 0, "losses": 1}
    assert "look at the data" in record["likely_causes"][0]
    (line,) = capsys.readouterr().out.splitlines()
    assert "step 7: images not finite in 1 step" in line
    before, after = kept.states[6], kept.states[7]
    changed = {n for n in before if not np.array_equal(before[n], after[n])}
    # Averages follow the weights, and what went wrong is noted.
    assert all(name.startswith(("ema_", "vital_signs")) for name in changed)
    assert int(model.vital_signs.restorations.numpy()) == 0
    assert float(model.vital_signs.learning_rate_scale.numpy()) == 1


def test_a_poisoned_buffer_is_given_back_as_it_was(model, tmp_path, capsys):
    kept = States(at=114, change=poison)
    guard = DivergenceGuard(tmp_path, every=10, max_restorations=0)
    with pytest.raises(DivergenceError):
        fit(model, images(140), kept, guard)
    (record,) = incidents(tmp_path)
    assert 114 < record["step"] <= 124
    assert "chain_saturation" in record["signs"]
    restored = record["restored_step"]
    assert 100 <= restored < 114
    assert_equal(state(model), kept.states[restored])


def test_nan_in_every_batch_is_undone_restored_and_given_up(model, tmp_path):
    data = np.full_like(images(60), np.nan)
    guard = DivergenceGuard(tmp_path, every=2, max_restorations=2)
    with pytest.raises(DivergenceError) as error:
        fit(model, data, guard)
    assert "after 2 restorations" in str(error.value)
    assert "images that are not finite" in str(error.value)
    actions = [record["action"] for record in incidents(tmp_path)]
    assert actions[:3] == ["undone", "undone", "restored"]
    assert actions.count("restored") == 2 and actions[-1] == "gave up"
    # No softer step makes images finite.
    assert float(model.vital_signs.learning_rate_scale.numpy()) == 1


def test_an_incident_of_the_last_steps_is_seen_to(model, tmp_path):
    start = state(model)
    kept = States(at=2, change=go_wrong)
    fit(model, images(2), kept, DivergenceGuard(tmp_path, every=50))
    assert incidents(tmp_path)[0]["action"] == "restored"
    assert_equal(state(model), start)


# === What a restoration does ===


def test_a_restoration_softens_reseeds_and_goes_on_counting(model, tmp_path):
    guard = guard_of(model, tmp_path, factor=0.25)
    look(guard, 3)
    for count in (1, 2):
        go_wrong(model)
        look(guard)
        vitals = model.vital_signs
        assert float(vitals.learning_rate_scale.numpy()) == 0.25**count
        assert float(vitals.step_size_scale.numpy()) == 1
        assert int(model.reseeds.numpy()) == count
        assert int(model.step.numpy()) == 3 + count
        assert vitals.read() is None
    record = incidents(tmp_path)[-1]
    assert record["restored_step"] == 2 and record["restorations"] == 2
    assert record["learning_rate_scale"] == 0.25**2


@pytest.mark.parametrize(
    "soften, scales", [("step_size", (1, 0.5)), (None, (1, 1))]
)
def test_what_is_softened_can_be_chosen(model, soften, scales):
    guard = guard_of(model, soften=soften)
    go_wrong(model)
    look(guard)
    vitals = model.vital_signs
    received = vitals.learning_rate_scale, vitals.step_size_scale
    assert tuple(float(scale.numpy()) for scale in received) == scales


def test_only_a_confirmed_state_is_restored(model):
    guard = guard_of(model)
    network = model.energy_network
    start = network.get_weights()
    look(guard)
    network.set_weights([w + 1 for w in start])
    look(guard)  # keeps a state that is damaged, but not yet known to be
    go_wrong(model)
    look(guard)
    for received, expected in zip(network.get_weights(), start):
        np.testing.assert_array_equal(received, expected)


def test_restorations_far_apart_are_not_in_a_row(model):
    guard = guard_of(model, max_restorations=1)
    for _ in range(3):
        look(guard, 20)
        go_wrong(model)
        look(guard)
    assert int(model.vital_signs.incidents.numpy()) == 3
    with pytest.raises(DivergenceError, match="after 1 restorations"):
        look(guard, 18)
        go_wrong(model)
        look(guard)


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("gradient_norm", 0.9, "causes: a learning rate that is too high"),
        ("chain_saturation", 0.9, "causes: damaged chains in the replay"),
        ("chain_travel", 0.9, "causes: damaged chains in the replay buffer"),
        ("chain_saturation", 0.995, "causes: a learning rate .* Langevin"),
        ("chain_displacement", 0.9, "lower sampler.step_size"),
        ("energy_gap", 0.9, "sampler.num_steps"),
    ],
)
def test_giving_up_names_likely_causes(model, name, value, words):
    guard = guard_of(model, max_restorations=0)
    go_wrong(model, name, value=value)
    with pytest.raises(DivergenceError, match=words):
        look(guard)


def test_an_incident_left_unattended_is_not_the_guards(model):
    go_wrong(model)
    model.vital_signs.count.assign(500)
    look(guard_of(model))
    assert int(model.vital_signs.incidents.numpy()) == 0
    assert int(model.vital_signs.count.numpy()) == 0


def test_every_replica_gets_its_own_chains_back():
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        model = build()
    before = model.replay_buffer.images
    snapshot = TrainingSnapshot(model)
    poison(model)
    for weight in model.energy_network.weights:
        weight.assign(weight + 1.0)
    snapshot.restore()
    np.testing.assert_array_equal(model.replay_buffer.images, before)
    assert (before[:16] != before[16:]).any()
    for weight, kept in zip(
        model.energy_network.weights, build().energy_network.weights
    ):
        for replica in weight.value.values:
            np.testing.assert_array_equal(replica, kept)


# === Softer steps ===


def one_step(model, data):
    """How far a step moves both networks' weights."""
    networks = model.energy_network, model.encoder
    weights = [w for n in networks for w in n.trainable_variables]
    before = [w.numpy() for w in weights]
    fit(model, data)
    return [w.numpy() - old for w, old in zip(weights, before)]


def test_a_softer_rate_moves_weights_by_its_part(model):
    start = TrainingSnapshot(model)
    whole = one_step(model, images(1))
    start.restore()
    model.step.assign(0)
    model.vital_signs.learning_rate_scale.assign(0.25)
    for part, all_of_it in zip(one_step(model, images(1)), whole):
        scale = np.abs(all_of_it).max()
        np.testing.assert_allclose(part, all_of_it / 4, atol=1e-3 * scale)


def test_softer_chains_are_those_of_a_smaller_step_at_the_temperature(model):
    keys = model._step_keys()
    model.vital_signs.step_size_scale.assign(0.25)
    softened, _ = model.negatives(keys, 8)
    model.vital_signs.step_size_scale.assign(1.0)
    whole, sampler = model.negatives(keys, 8)[0], model.sampler
    config = sampler.get_config()
    config["step_size"] /= 4
    config["noise_scale"] /= 2
    model.sampler = type(sampler).from_config(config)
    temperature = model.sampler.langevin_temperature
    assert temperature == pytest.approx(sampler.langevin_temperature)
    expected, _ = model.negatives(keys, 8)
    model.sampler = sampler
    np.testing.assert_allclose(softened.images, expected.images, atol=1e-6)
    assert np.abs(softened.images - whole.images).max() > 1e-3


# === Files ===


def test_a_checkpoint_has_what_the_guard_did(model, tmp_path):
    guard = guard_of(model)
    go_wrong(model)
    look(guard)
    model.save_weights(tmp_path / "it.weights.h5")
    other = build()
    other.load_weights(tmp_path / "it.weights.h5")
    for a, b in zip(counters(model), counters(other)):
        assert a.numpy() == b.numpy()
    assert int(other.reseeds.numpy()) == 1
    assert float(other.vital_signs.learning_rate_scale.numpy()) == 0.5


def test_a_resumed_run_is_guarded_from_its_checkpoint_on(model, tmp_path):
    resume = Resume(tmp_path, every=3)
    fit(model, images(3), DivergenceGuard(), resume)
    start = state(model)
    poison(model)
    model.step.assign(0)
    broken, kept = States(at=4, change=go_wrong), States()
    # The guard stands before what loads the checkpoint.
    guard = DivergenceGuard(every=4)
    resume = Resume(tmp_path, every=100)
    model.fit(
        images(2),
        batch_size=BATCH,
        epochs=2,
        verbose=0,
        callbacks=[broken, guard, kept, resume],
    )
    assert_equal(kept.states[4], start)


def test_lines_beyond_the_models_step_are_cut(model, tmp_path):
    path = tmp_path / "incidents.jsonl"
    lines = [json.dumps({"seen_at": step}) + "\n" for step in (10, 20, 30)]
    path.write_text("".join(lines) + '{"seen')
    model.step.assign(20)
    guard_of(model, tmp_path)
    assert path.read_text() == "".join(lines[:2])


# === Bad input ===


@pytest.mark.parametrize(
    "options, words",
    [
        ({"every": 0}, "every"),
        ({"soften": "noise"}, "'learning_rate' or 'step_size' or None"),
        ({"factor": 1.0}, "factor"),
        ({"max_restorations": -1}, "max_restorations"),
    ],
)
def test_bad_arguments_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        DivergenceGuard(**options)


def test_other_models_are_refused():
    with pytest.raises(TypeError, match="vital signs; received: Model"):
        DivergenceGuard().set_model(keras.Model())


def test_a_sampler_without_a_scale_is_refused(model, monkeypatch):
    monkeypatch.setattr(model, "sampler", MALA(0.1, 0.1))
    DivergenceGuard().set_model(model)
    with pytest.raises(TypeError, match="such as SGLD"):
        DivergenceGuard(soften="step_size").set_model(model)
