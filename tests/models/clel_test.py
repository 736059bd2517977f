import keras
import numpy as np
import pytest
import tensorflow as tf

from clel_tf import presets
from clel_tf import random
from clel_tf.models import CLEL
from clel_tf.models import inference_function
from clel_tf.samplers import SGLD
from clel_tf.samplers import energies


def tiny_config(**changes):
    config = presets.get("digits")
    small = {"widths": [8, 12], "depths": [1, 1], "head_width": 16}
    small["dtype"] = "float32"  # what is compared here agrees to its rounding
    config["energy_network"].update(small, latent_dim=8)
    config["encoder"].update(small, latent_dim=8)
    config["sampler"].update(num_steps=3, sample_steps=5)
    config["replay_buffer"]["capacity"] = 32
    config["model"]["chain_augmentation_probability"] = 0.5
    config["recipe"].update(steps=20, batch_size=8)
    for name, values in changes.items():
        config[name].update(values)
    return config


def tiny_model(seed=0, **changes):
    return presets.build(tiny_config(**changes), seed)


def compiled(**options):
    model = tiny_model(**options.pop("changes", {}))
    model.compile(**options)
    return model


def digits(n=16, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 17, (n, 8, 8, 1)).astype("uint8")


def fit(model, images, epochs=1, batch_size=8):
    return model.fit(
        images, batch_size=batch_size, epochs=epochs, shuffle=False, verbose=0
    ).history


def values(variables):
    return [keras.ops.convert_to_numpy(v) for v in variables]


def assert_equal(a, b):
    assert len(a) == len(b)
    for x, y in zip(a, b):
        np.testing.assert_array_equal(x, y)


@pytest.fixture(scope="module")
def model():
    # One model, whose step is traced once, serves the tests that look at what
    # a step does rather than at where it ends.
    return compiled()


# === Training ===


def test_schedules_of_chains_in_training_are_of_their_ages():
    # Steps end at an age of 3, which chains have after their first visit.
    stop = keras.optimizers.schedules.PiecewiseConstantDecay([2], [0.5, 1e-12])
    model = tiny_model(
        sampler={"step_size": stop, "noise_scale": 0.0, "num_steps": 3},
        model={"chain_augmentation_probability": 0.0},
        replay_buffer={"max_age": None, "capacity": 8, "storage": "float32"},
    )
    keys = model._step_keys()
    born, _ = model.negatives(keys, 8)
    assert np.all(born.travel > 0.0) and np.all(born.ages == 3)
    model.replay_buffer.write(born)
    gone_on, _ = model.negatives(keys, 8)
    np.testing.assert_allclose(gone_on.travel, 0.0, atol=1e-9)


def test_fit_trains_both_networks(model):
    before = values(model.trainable_variables)
    step = int(model.step.numpy())
    history = fit(model, digits(), epochs=2)
    assert all(np.isfinite(v).all() for v in history.values())
    assert int(model.step.numpy()) == step + 4
    after = values(model.trainable_variables)
    assert all((a != b).any() for a, b in zip(before, after))


def test_history_is_the_mean_of_the_steps_own_values(model):
    steps = []
    model.fit(
        digits(24),
        batch_size=8,
        verbose=0,
        callbacks=[
            keras.callbacks.LambdaCallback(
                on_train_batch_end=lambda _, logs: steps.append(dict(logs))
            )
        ],
    )
    means = model.get_metrics_result()
    for name, mean in means.items():
        expected = np.mean([step[name] for step in steps])
        np.testing.assert_allclose(mean, expected, rtol=1e-5, atol=1e-8)
    assert len({step["nt_xent"] for step in steps}) == 3


def test_uint8_of_all_levels_float_and_labelled_data_train():
    model = compiled(run_eagerly=True)
    images = digits(8)
    fit(model, (images / 16).astype("float32"))
    model.fit(images, np.arange(8), batch_size=8, verbose=0)
    batches = tf.data.Dataset.from_tensors(images).repeat(2)
    model.fit(batches, verbose=0)
    assert int(model.step.numpy()) == 4


def test_equal_seeds_give_equal_steps_and_other_seeds_others():
    runs = []
    for seed in (0, 0, 1):
        model = tiny_model(seed)
        model.compile(run_eagerly=True)
        runs.append((fit(model, digits(8)), model.get_weights()))
    assert runs[0][0] == runs[1][0]
    assert_equal(runs[0][1], runs[1][1])
    assert runs[0][0] != runs[2][0]


def test_the_chain_moves_no_variable(model):
    before = values(model.weights)
    keys = model._step_keys()
    chains, _ = model.negatives(keys, tf.constant(8))
    drawn = model.replay_buffer.draw(keys.buffer, 8)
    assert (chains.images.numpy() != drawn.images.numpy()).any()
    assert_equal(values(model.weights), before)


def test_chains_have_an_augmentation_of_their_own():
    chains = {"brightness": 1.0, "jitter_probability": 1.0}
    config = tiny_config(model={"chain_augmentation_probability": 1.0})
    config["chain_augmentation"] = chains
    model = presets.build(config)
    drawn = model.replay_buffer.draw(random.as_key(0), 8)
    drawn = drawn._replace(ages=tf.ones(8, tf.int32))
    keys = model._step_keys()
    moved = model._transition(drawn, keys, tf.range(8))
    expected = model.chain_augmentation(drawn.images, seed=keys.transition)
    np.testing.assert_array_equal(moved, expected)
    plain = model.augmentation(drawn.images, seed=keys.transition)
    assert (moved.numpy() != plain.numpy()).any()


def test_configuration_keeps_the_chains_augmentation():
    config = tiny_config()
    for changes in ({}, {"crop_scale": [0.9, 1.0]}):
        config["chain_augmentation"] = changes
        model = presets.build(config)
        copied = CLEL.from_config(model.get_config())
        received = copied.chain_augmentation.get_config()["crop_scale"]
        assert received == model.chain_augmentation.crop.scale
        shared = copied.chain_augmentation is copied.augmentation
        assert shared == (not changes)


def test_gradients_flow_where_they_should_and_nowhere_else(model):
    positives, negatives = tf.random.uniform((2, 8, 8, 8, 1))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(negatives)
        terms = model.losses_of(positives, negatives, model._step_keys())
    energy = model.energy_network.trainable_variables
    encoder = model.encoder.trainable_variables
    for gradient in tape.gradient(terms["energy_loss"], energy):
        assert gradient is not None
    for gradient in tape.gradient(terms["nt_xent"], encoder):
        assert gradient is not None
    assert tape.gradient(terms["energy_loss"], encoder) == [None] * len(encoder)
    assert tape.gradient(terms["nt_xent"], energy) == [None] * len(energy)


def test_the_losses_are_those_of_the_formulas(model):
    positives, negatives = tf.random.uniform((2, 8, 8, 8, 1))
    terms = model.losses_of(positives, negatives, model._step_keys())
    features, _ = model.energy_network(
        tf.concat([positives, negatives], 0), training=False
    )
    energy = 0.5 * np.sum(features.numpy() ** 2, axis=1)
    gap = energy[8:].mean() - energy[:8].mean()
    squares = (energy[:8] ** 2).mean() + (energy[8:] ** 2).mean()
    expected = -gap + model.alpha * squares
    expected -= model.beta * float(terms["latent_similarity"])
    np.testing.assert_allclose(terms["energy_gap"], gap, rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(
        terms["energy_loss"], expected, rtol=1e-3, atol=1e-7
    )


def test_a_step_that_is_not_finite_changes_nothing_but_the_counters():
    model = compiled(run_eagerly=True)
    fit(model, digits(8))
    kept = (
        model.energy_network.variables
        + model.encoder.variables
        + model.optimizer.variables
        + model.encoder_optimizer.variables
    )
    before, buffer = values(kept), model.replay_buffer.images
    poisoned = np.full((8, 8, 8, 1), np.nan, "float32")
    fit(model, poisoned)
    assert_equal(values(kept), before)
    np.testing.assert_array_equal(model.replay_buffer.images, buffer)
    assert int(model.skipped_steps.numpy()) == 1
    fit(model, digits(8))
    assert int(model.skipped_steps.numpy()) == 1
    assert all(np.isfinite(v).all() for v in values(model.weights))
    assert (values(kept)[0] != before[0]).any()


def test_a_compiled_step_does_not_trace_again(monkeypatch):
    traces = []
    original = CLEL.train_step

    def counting(self, data):
        traces.append(1)
        return original(self, data)

    monkeypatch.setattr(CLEL, "train_step", counting)
    model = compiled()
    fit(model, digits(16))
    first = len(traces)
    fit(model, digits(16), epochs=3)
    assert len(traces) == first


@pytest.mark.slow
def test_a_whole_step_compiles_with_xla_and_agrees_with_the_plain_graph():
    # Views that resample in ways that XLA may round otherwise are left to the
    # layers' tests; here the step's parts must go through the compiler.
    results = []
    for jit_compile in (False, True):
        model = compiled(jit_compile=jit_compile)
        results.append((fit(model, digits(8)), model.replay_buffer.images))
    (plain, plain_buffer), (xla, xla_buffer) = results
    for name, value in plain.items():
        np.testing.assert_allclose(xla[name], value, rtol=2e-3, atol=1e-5)
    # Bytes may round across a boundary.
    np.testing.assert_allclose(xla_buffer, plain_buffer, atol=1.01 / 256)


@pytest.mark.slow
def test_steps_per_execution_gives_the_same_weights():
    runs = []
    for steps in (1, 4):
        model = compiled(steps_per_execution=steps)
        fit(model, digits(64))
        runs.append(model.get_weights())
    assert_equal(*runs)


def test_validation_and_evaluate_use_the_averages_and_change_nothing(model):
    history = model.fit(
        digits(8), batch_size=8, validation_data=digits(8, seed=1), verbose=0
    ).history
    assert {"val_energy_gap", "val_nt_xent", "val_energy_loss"} <= set(history)
    before = values(model.weights)
    images = digits(16, seed=1)
    result = model.evaluate(images, batch_size=8, verbose=0, return_dict=True)
    energies = model.predict(images, verbose=0)
    np.testing.assert_allclose(result["energy_positive"], energies.mean(), 1e-4)
    assert_equal(values(model.weights), before)


# === Inference ===


def test_predict_gives_the_averaged_networks_marginal_energies():
    model = tiny_model()
    images = digits(4)
    features, _ = model.ema_energy_network((images + np.float32(0.5)) / 17)
    expected = 0.5 * np.sum(features.numpy() ** 2, axis=1)
    energies = model.predict(images, verbose=0)
    np.testing.assert_allclose(energies, expected, rtol=1e-5)
    np.testing.assert_allclose(model(images), expected, rtol=1e-5)


def test_latents_are_unit_vectors_and_score_is_the_joint_energy():
    model = tiny_model(model={"beta": 0.3})
    images = digits(5)
    latents = model.latents(images, batch_size=2)
    np.testing.assert_allclose(np.linalg.norm(latents, axis=1), 1, rtol=1e-5)
    features, projected = model.ema_energy_network(
        (images + np.float32(0.5)) / 17
    )
    projected = projected.numpy()
    projected /= np.linalg.norm(projected, axis=1, keepdims=True)
    expected = 0.5 * np.sum(features.numpy() ** 2, axis=1)
    expected -= 0.3 * np.sum(projected * latents, axis=1)
    np.testing.assert_allclose(model.score(images), expected, rtol=1e-4)


def test_sample_is_a_function_of_the_row_and_the_seed():
    model = tiny_model()
    images = model.sample(5, seed=3)
    assert images.shape == (5, 8, 8, 1) and images.dtype == np.float32
    assert images.min() >= 0 and images.max() <= 1
    np.testing.assert_array_equal(model.sample(5, seed=3), images)
    np.testing.assert_allclose(
        model.sample(7, seed=3, batch_size=2)[:5], images, atol=1e-5
    )
    assert np.abs(model.sample(5, seed=4) - images).mean() > 0.05


def test_sampling_traces_once_for_all_sizes_steps_and_seeds(monkeypatch):
    model = tiny_model()
    traces = []
    marginal = energies.Marginal.value

    def counting(*args):
        traces.append(1)
        return marginal(*args)

    model.sample(4)
    model.sample(6)  # from here on, of any number
    monkeypatch.setattr(energies.Marginal, "value", counting)
    for n, steps, seed in ((5, 2, 1), (9, 3, 2), (300, 1, 3)):
        model.sample(n, num_steps=steps, seed=seed)
    assert not traces
    # One image alone is not halved, which is another graph.
    model.sample(1)
    assert traces


def conditions(n, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "latents": rng.normal(size=(n, 8)),
        "initial": rng.random((n, 8, 8, 1)).astype("float32"),
    }


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_halves_keep_their_rows_conditions(n):
    model = tiny_model(model={"beta": 10.0})
    model.sampler = SGLD(step_size=0.5, noise_scale=0.01)
    given = conditions(n)
    latents = given["latents"]
    rows = tf.constant(random.row_seeds(7, n)), tf.constant(4)
    energy = energies.Marginal() + energies.Conditional(latents, beta=10.0)
    rows += tf.constant(given["initial"]), energy
    terms = energy.rows(random.as_key(rows[0]))
    whole, halved = (
        model.sample_rows(*rows, rows=terms, halved=h) for h in (False, True)
    )
    assert np.abs(whole - given["initial"]).max() > 0.01
    np.testing.assert_allclose(halved, whole, atol=1e-5)


def test_xla_pads_without_a_trace_in_the_rows():
    model = tiny_model(model={"beta": 10.0})
    plain, xla = (
        SGLD(step_size=0.5, noise_scale=0.01, jit_compile=jit)
        for jit in (False, True)
    )
    given = conditions(5)
    model.sampler = plain
    expected = model.sample(5, num_steps=3, **given)
    model.sampler = xla
    images = model.sample(5, num_steps=3, **given)
    assert images.shape == (5, 8, 8, 1)
    np.testing.assert_allclose(images, expected, atol=1e-4)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_an_energy_of_ones_own_sees_all_rows_in_their_order(jit_compile):
    model = tiny_model()
    model.sampler = SGLD(
        step_size=0.5, noise_scale=0.0, jit_compile=jit_compile
    )
    targets = np.linspace(0.1, 0.9, 5, dtype="float32")

    def towards(x, targets):
        difference = x - targets[:, None, None, None]
        return tf.reduce_sum(difference**2, axis=(1, 2, 3))

    energy = energies.WithoutPrior([energies.Function(towards, targets)])
    images = model.sample(5, energy=energy, num_steps=2, batch_size=2)
    np.testing.assert_allclose(images.mean(axis=(1, 2, 3)), targets, atol=1e-5)


def test_a_chain_sees_what_the_optimizer_did_before():
    model = compiled()
    keys = model._step_keys()

    @tf.function
    def energies(x):
        before = inference_function(model.energy_network)(x)[0]
        for layer in model.energy_network.spectral_layers:
            layer.kernel.assign(layer.kernel + 1.0)
            layer.refresh(iterations=3)
        return before, inference_function(model.energy_network)(x)[0]

    before, after = energies(random.uniform(keys.chain, (2, 8, 8, 1)))
    assert np.abs(before - after).max() > 1e-4


def test_sample_continues_from_images():
    model = tiny_model()
    start = digits(3)
    same = model.sample(3, initial=start, num_steps=0)
    np.testing.assert_allclose(same, (start + np.float32(0.5)) / 17, rtol=1e-6)
    moved = model.sample(3, initial=same, num_steps=2)
    assert 0 < np.abs(moved - same).max() < 0.1


def test_sample_takes_any_energy():
    model = tiny_model()
    model.sampler = SGLD(step_size=0.05, noise_scale=0.0)

    def towards_a_quarter(x):
        return tf.reduce_sum((x - 0.25) ** 2, axis=(1, 2, 3))

    images = model.sample(2, energy=towards_a_quarter, num_steps=200)
    np.testing.assert_allclose(images, 0.25, atol=1e-5)


def test_a_new_sampler_or_beta_is_used_at_once():
    model = tiny_model()
    before = model.sample(2, latents=np.ones(8))
    model.beta = 100.0
    guided = model.sample(2, latents=np.ones(8))
    assert np.abs(guided - before).max() > 1e-4
    model.sampler = SGLD(noise_scale=0.5, sample_steps=1)
    assert np.abs(model.sample(2) - before).max() > 0.5


def test_conditional_samples_align_with_their_latents():
    model = tiny_model(model={"beta": 10.0})
    model.sampler = SGLD(step_size=0.05, noise_scale=0.0)
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(6, 8)).astype("float32")
    latents /= np.linalg.norm(latents, axis=1, keepdims=True)

    def cosines(images):
        projected = model.ema_energy_network(images)[1].numpy()
        projected /= np.linalg.norm(projected, axis=1, keepdims=True)
        return np.sum(projected * latents, axis=1)

    plain = cosines(model.sample(6, num_steps=300))
    guided = cosines(model.sample(6, latents=latents, num_steps=300))
    assert (guided > plain).all()
    # Unit vectors of 8 dimensions at random have cosines of +-0.35.
    assert guided.mean() > plain.mean() + 0.2


def test_sampling_leaves_every_variable_alone():
    model = tiny_model()
    before = values(model.weights)
    model.sample(2, latents=np.ones(8))
    model.latents(digits(2))
    model.score(digits(2))
    assert_equal(values(model.weights), before)


# === Saving ===


def test_a_saved_model_continues_training_exactly(tmp_path):
    model = compiled(run_eagerly=True)
    fit(model, digits())
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_equal(values(loaded.weights), values(model.weights))
    assert loaded.optimizer.iterations.numpy() == 2
    assert loaded.recipe == model.recipe
    assert fit(model, digits(), 2) == fit(loaded, digits(), 2)
    assert_equal(values(loaded.weights), values(model.weights))


def test_a_preset_directory_holds_the_averages_and_no_training_state(tmp_path):
    model = compiled(run_eagerly=True)
    fit(model, digits(8))
    model.save_to_preset(tmp_path / "mine", samples=0)
    loaded = CLEL.from_preset(tmp_path / "mine")
    np.testing.assert_array_equal(loaded.sample(2), model.sample(2))
    np.testing.assert_array_equal(
        loaded.latents(digits(2)), model.latents(digits(2))
    )
    assert int(loaded.step.numpy()) == 0
    loaded.compile(run_eagerly=True)
    fit(loaded, digits(8))


# === Bad input ===


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"model": {"beta": -1.0}}, "beta"),
        ({"teacher": {"temperature": 0.0}}, "temperature"),
        ({"model": {"ema_decay": 1.0}}, "ema_decay"),
        ({"model": {"levels": 300}}, "levels"),
        ({"encoder": {"latent_dim": 9}}, "latent dimension"),
        ({"encoder": {"image_shape": [8, 8, 3]}}, "image shape"),
    ],
)
def test_bad_arguments_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        tiny_model(**changes)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"n": 0}, "positive int"),
        ({"n": 2, "num_steps": -1}, "num_steps"),
        ({"n": 2, "batch_size": 0}, "batch_size"),
        ({"n": 2, "batch_size": -3}, "batch_size"),
        ({"n": 2, "batch_size": 1.5}, "batch_size"),
        ({"n": 2, "latents": np.zeros((2, 8))}, "zero"),
        ({"n": 2, "latents": np.ones((3, 8))}, "2 rows; received: 3"),
        ({"n": 2, "latents": np.ones(9)}, "dimension 8; received: 9"),
        ({"n": 2, "initial": np.zeros((2, 4, 4, 1))}, r"\(2, 8, 8, 1\)"),
        ({"n": 1, "initial": np.full((1, 8, 8, 1), 2.0)}, r"\[0, 1\]"),
        ({"n": 1, "latents": np.ones(8), "energy": len}, "both"),
    ],
)
def test_bad_sample_requests_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        tiny_model().sample(**arguments)


def test_a_batch_larger_than_the_buffer_is_refused():
    with pytest.raises(ValueError, match="at most 32 chains"):
        fit(compiled(run_eagerly=True), digits(64), batch_size=64)


def test_bytes_beyond_the_models_levels_are_refused():
    with pytest.raises(ValueError, match="below 17"):
        tiny_model().score(np.full((1, 8, 8, 1), 200, "uint8"))


def test_images_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(n, 8, 8, 1\)"):
        tiny_model().latents(np.zeros((2, 9, 8, 1), "uint8"))
