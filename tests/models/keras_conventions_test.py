"""CLEL does in Keras's hands what any Keras model does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from clel_tf import presets
from clel_tf.models import CLEL
from clel_tf.models import EnergyResNet

TINY = {"widths": [3, 4], "depths": [1, 1], "head_width": 4, "latent_dim": 3}


def build(seed=0):
    config = presets.get("digits")
    config["energy_network"].update(TINY, feature_dim=3, dtype="float32")
    config["encoder"].update(TINY, dtype="float32")
    config["replay_buffer"]["capacity"] = 8
    config["sampler"].update(num_steps=2, sample_steps=2)
    return presets.build(config, seed)


def images(count=8, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 17, (count, 8, 8, 1), "uint8")


LABELS = np.arange(8) % 2


@pytest.fixture(scope="module")
def model():
    # Eagerly, as every kind of data would have a step traced of its own.
    model = build()
    model.compile("adam", "sgd", run_eagerly=True)
    return model


def fit(model, *data, **options):
    options = {"batch_size": 4, "verbose": 0, **options}
    return model.fit(*data, **options).history


def weights(model):
    return [keras.ops.convert_to_numpy(v) for v in model.weights]


def assert_equal(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


# === Data ===


@pytest.mark.parametrize(
    "options",
    [
        {"sample_weight": np.ones(8)},
        {"class_weight": {0: 1.0, 1: 2.0}},
        {"validation_data": (images(), LABELS, np.ones(8))},
    ],
)
def test_weights_of_images_are_refused(options):
    model = build()
    model.compile(run_eagerly=True)
    before = weights(model)
    # Validation's turn comes after an epoch; that it is refused is all.
    with pytest.raises(ValueError, match="neither `sample_weight` nor"):
        fit(model, images(), LABELS, **options)
    if "validation_data" not in options:
        assert_equal(weights(model), before)


def test_any_data_that_keras_takes(model):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return images(4, index), LABELS[:4]

    def batches():
        yield from (Batches()[0], Batches()[1])

    rows = tf.data.Dataset.from_tensor_slices((images(), LABELS)).batch(4)
    for data, options in (
        ((images(), LABELS), {"validation_split": 0.5}),
        ((rows,), {"batch_size": None, "validation_data": rows}),
        ((Batches(),), {"batch_size": None}),
        ((batches(),), {"batch_size": None, "steps_per_epoch": 2}),
    ):
        history = fit(model, *data, **options)
        assert np.isfinite(history["loss"]).all()
        assert ("val_loss" in history) == any("valid" in o for o in options)
    np.testing.assert_array_equal(
        model.predict(rows, verbose=0),
        model.predict(images(), batch_size=4, verbose=0),
    )


def test_one_batch_at_a_time(model):
    step = int(model.step.numpy())
    batch = images(4), LABELS[:4]
    logs = model.train_on_batch(*batch, return_dict=True)
    assert int(model.step.numpy()) == step + 1
    parts = logs["energy_loss"] + logs["encoder_loss"]
    np.testing.assert_allclose(logs["loss"], parts, rtol=1e-6)
    tested = model.test_on_batch(*batch, return_dict=True)
    assert set(tested) < set(logs) and "loss" in tested
    energies = model.predict_on_batch(images(4))
    np.testing.assert_allclose(tested["energy_positive"], energies.mean(), 1e-5)
    # The list of values begins with the loss, as any model's.
    values = model.evaluate(*batch, batch_size=4, verbose=0)
    assert values[0] == pytest.approx(tested["loss"], rel=1e-5)


# === Callbacks ===


def test_callbacks_of_keras(model, tmp_path):
    best = tmp_path / "best.keras"
    energies = []
    history = fit(
        model,
        images(),
        LABELS,
        epochs=4,
        validation_data=(images(seed=1), LABELS),
        callbacks=[
            keras.callbacks.EarlyStopping(
                "val_energy_gap", mode="max", patience=0, min_delta=1e9
            ),
            keras.callbacks.ModelCheckpoint(best, save_best_only=True),
            keras.callbacks.ModelCheckpoint(
                tmp_path / "{epoch}.weights.h5", save_weights_only=True
            ),
            keras.callbacks.CSVLogger(tmp_path / "log.csv"),
            keras.callbacks.LearningRateScheduler(lambda epoch: 0.5**epoch),
            keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: energies.append(
                    model.predict(images(), verbose=0)
                )
            ),
        ],
    )
    assert len(history["loss"]) == 2  # no epoch was better by 1e9
    assert model.optimizer.learning_rate == 0.5
    header = (tmp_path / "log.csv").read_text().splitlines()[0].split(",")
    assert {"loss", "val_loss", "energy_gap", "val_energy_gap"} < set(header)
    epoch = int(np.argmin(history["val_loss"]))
    loaded = keras.saving.load_model(best)
    np.testing.assert_allclose(
        loaded.predict(images(), verbose=0), energies[epoch], rtol=1e-6
    )
    other = build(seed=5)
    other.load_weights(tmp_path / "1.weights.h5")
    np.testing.assert_allclose(
        other.predict(images(), verbose=0), energies[0], rtol=1e-6
    )


def test_training_terminates_on_nan(model):
    broken = images(16).astype("float32") / 17
    broken[5] = np.nan  # in the second batch
    before = int(model.step.numpy())
    history = fit(
        model,
        broken,
        np.arange(16),
        shuffle=False,
        callbacks=[keras.callbacks.TerminateOnNaN()],
    )
    assert int(model.step.numpy()) == before + 2 and len(history["loss"]) == 1
    assert all(np.isfinite(w).all() for w in weights(model)[:-1])


def test_learning_rates_may_be_schedules(model):
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [1], [0.1, 0.0]
    )
    model = build()
    rates = keras.optimizers.SGD(schedule), keras.optimizers.SGD(0.0)
    model.compile(*rates, run_eagerly=True)
    fit(model, images()[:4])
    fit(model, images()[:4])
    between = weights(model.energy_network)
    fit(model, images()[:4])  # at a rate of 0
    kept = [
        np.array_equal(a, b)
        for a, b, v in zip(
            between, weights(model.energy_network), model.energy_network.weights
        )
        if v.trainable
    ]
    assert all(kept)


# === Configuration and files ===


def test_a_clone_and_a_configuration_build_the_same_model(model):
    config = model.get_config()
    for copied in (
        CLEL.from_config(config),
        keras.models.clone_model(model),
        keras.saving.deserialize_keras_object(
            keras.saving.serialize_keras_object(model)
        ),
    ):
        assert copied.get_config() == config
    assert copied.get_compile_config() == model.get_compile_config()


def test_a_summary_names_both_networks(model):
    lines = []
    model.summary(print_fn=lines.append)
    text = "\n".join(map(str, lines))
    assert "energy_res_net" in text and "res_net_encoder" in text
    counted = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    assert f"Trainable params: {counted:,}" in text


def test_random_seed_of_keras_seeds_networks():
    made = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        made.append(EnergyResNet(image_shape=(8, 8, 1), **TINY).get_weights())
    assert_equal(*made)


def test_a_global_policy_is_the_networks_alone(tmp_path):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = EnergyResNet(image_shape=(8, 8, 1), **TINY)
        model = CLEL(network, build().encoder, levels=17)
    finally:
        keras.config.set_dtype_policy(before)
    assert {x.compute_dtype for x in network.spectral_layers} == {"bfloat16"}
    assert model.compute_dtype == "float32"
    assert model.replay_buffer.compute_dtype == "float32"
    assert model.predict(images(), verbose=0).dtype == np.float32
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.energy_network.get_config() == network.get_config()
    np.testing.assert_array_equal(
        loaded.predict(images(), verbose=0), model.predict(images(), verbose=0)
    )
