import keras
import numpy as np
import pytest
import tensorflow as tf

from clel_tf import random
from clel_tf.models import CLEL
from clel_tf.models import EnergyResNet
from clel_tf.models import ResNetEncoder
from clel_tf.models import replicas
from clel_tf.models.clel import StepKeys
from clel_tf.samplers import SGLD
from clel_tf.samplers import ReplayBuffer
from clel_tf.samplers.langevin import LangevinInfo
from clel_tf.teachers import BYOL
from clel_tf.teachers import SimCLR
from clel_tf.teachers import Supervised

STRATEGY = tf.distribute.MirroredStrategy(
    ["CPU:0", "CPU:1"],
    # Collective operations of several strategies in one process, as that of
    # all tests is, get into one another's way.
    cross_device_ops=tf.distribute.ReductionToOneDevice(),
)
SHAPE = (8, 8, 1)
# Brighter than the images, lest gradients cancel to their rounding.
CHAINS = np.random.default_rng(1).random((8, *SHAPE), "float32") ** 0.2
OPTIONS = ("synchronized", "gather_latents")


class Dimmed(keras.layers.Layer):
    """A view that depends on its key, and not on the row."""

    def call(self, images, seed, where=None):
        return images * random.uniform(seed, (), 0.2, 1.0)


class Fixed(CLEL):
    """Draws the same on every replica, and takes its chains from `CHAINS`."""

    def _step_keys(self):
        return StepKeys(*map(random.as_key, range(len(StepKeys._fields))))

    def negatives(self, keys, batch_size):
        count = tf.convert_to_tensor(batch_size)
        context = tf.distribute.get_replica_context()
        elsewhere = context.all_reduce("SUM", count) - count
        start = elsewhere * context.replica_id_in_sync_group
        images = tf.constant(CHAINS)[start : start + count]
        chains = self.replay_buffer.draw(keys.buffer, batch_size)
        row = tf.reduce_mean(images, axis=(1, 2, 3))
        chains = chains._replace(images=images, travel=row)
        return chains, LangevinInfo(row, 2.0 * row, 3.0 * row)


def build(
    kind=Fixed,
    synchronized=True,
    gather_latents=True,
    teacher=None,
    beta=0.3,
    run_eagerly=True,
    **options,
):
    small = {"widths": (6,), "depths": (1,), "head_width": 8, "latent_dim": 4}
    small = {**small, "seed": 0, "dtype": "float32"}
    model = kind(
        EnergyResNet(SHAPE, feature_dim=8, dense_stddev=0.3, **small),
        ResNetEncoder(SHAPE, synchronized=synchronized, **small),
        teacher or SimCLR(1.0, gather_latents=gather_latents),
        replay_buffer=ReplayBuffer(capacity=32),
        augmentation=Dimmed(),
        chain_augmentation_probability=0.0,
        beta=beta,
        encoder_l2=0.1,
        ema_decay=0.5,
        **options,
    )
    model.compile(
        *(keras.optimizers.SGD(1e-3) for _ in range(2)),
        run_eagerly=run_eagerly,
    )
    return model


def on_replicas(**options):
    with STRATEGY.scope():
        return build(**options)


def images(n=8, seed=2):
    return np.random.default_rng(seed).random((n, *SHAPE), "float32")


def each(shards):
    """Values of which each replica has its own."""
    return STRATEGY.experimental_distribute_values_from_function(
        lambda context: tf.constant(shards[context.replica_id_in_sync_group])
    )


def run(function, *arguments):
    """What a function gives on each replica, as lists of NumPy arrays."""
    results = STRATEGY.run(function, arguments)
    return tf.nest.map_structure(
        lambda x: [v.numpy() for v in STRATEGY.experimental_local_results(x)],
        results,
    )


def step_of(model):
    """The losses' terms, and both networks' gradients, for the own rows."""

    def step(positives, labels=None):
        keys = model._step_keys()
        chains, _ = model.negatives(keys, tf.shape(positives)[0])
        return model._gradients(positives, chains.images, keys, labels)

    return step


def reduced(terms, gradients):
    """The batch's terms and gradients: of the former, means over replicas."""
    terms = {name: np.mean(values) for name, values in terms.items()}
    energy, encoder = gradients
    return terms, [sum(g) for g in energy], [sum(g) for g in encoder]


def assert_close(received, expected, error=1e-5):
    tf.nest.map_structure(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=error, atol=error),
        received,
        expected,
    )


# === One device or two ===


def train(model):
    """Metrics of a step with a whole batch, one with an odd one, and both."""

    def batches():
        for n in (8, 5):
            yield images(n, seed=n)

    steps = []
    data = tf.data.Dataset.from_generator(
        batches, output_signature=tf.TensorSpec((None, *SHAPE))
    )
    history = model.fit(
        data,
        steps_per_epoch=2,
        shuffle=False,
        verbose=0,
        callbacks=[
            keras.callbacks.LambdaCallback(
                on_train_batch_end=lambda _, logs: steps.append(dict(logs))
            )
        ],
    ).history
    return [*steps, {name: values[0] for name, values in history.items()}]


@pytest.mark.parametrize(
    "run_eagerly, teacher",
    [
        (True, SimCLR),
        pytest.param(False, SimCLR, marks=pytest.mark.slow),
        pytest.param(True, BYOL, marks=pytest.mark.slow),
    ],
)
def test_training_on_two_replicas_is_training_on_one_device(
    run_eagerly, teacher
):
    options = {"temperature": 1.0} if teacher is SimCLR else {"seed": 0}
    one, two = (
        make(run_eagerly=run_eagerly, teacher=teacher(**options))
        for make in (build, on_replicas)
    )
    expected, received = train(one), train(two)
    assert set(expected[0]) == {metric.name for metric in one.metrics}
    assert_close(received, expected)
    assert int(two.step.numpy()) == 2 and not int(two.skipped_steps.numpy())
    own = {id(v) for v in two.replay_buffer.variables}
    for a, b in zip(two.variables, one.variables):
        if id(a) not in own and a.dtype == "float32":
            copies = [value.numpy() for value in a.value.values]
            assert_close(copies, [b.numpy()] * 2)


@pytest.mark.parametrize("sizes", [(4, 4), (6, 2)])
def test_losses_and_gradients_are_those_of_one_device(sizes):
    x = images()
    terms, (energy, encoder) = step_of(build())(x)
    shards = each(np.split(x, [sizes[0]]))
    received = reduced(*run(step_of(on_replicas()), shards))
    assert_close(received, (terms, energy, encoder))


@pytest.mark.slow
@pytest.mark.parametrize(
    "teacher",
    [
        lambda: Supervised(temperature=1.0),
        lambda: BYOL(predictor_width=4, seed=0),
    ],
)
def test_the_losses_of_other_teachers_are_those_of_one_device(teacher):
    x, labels = images(), np.array([0, 1, 2, 0, 1, 1, 2, 2])
    expected = step_of(build(teacher=teacher()))(x, labels)
    model = on_replicas(teacher=teacher())
    shards = each(np.split(x, [6])), each(np.split(labels, [6]))
    received = reduced(*run(step_of(model), *shards))
    # BYOL's passes two normalisations of batches, which round apart.
    assert_close(received, (expected[0], *expected[1]), error=1e-3)


def test_energies_need_no_exchange_and_the_encoder_does():
    # Without guidance, of which the encoder is a part.
    options = dict.fromkeys(OPTIONS, False)
    x = images()
    terms, (energy, encoder) = step_of(build(beta=0.0))(x)
    model = on_replicas(beta=0.0, **options)
    received = reduced(*run(step_of(model), each(np.split(x, 2))))
    for name in ("energy_loss", "energy_gap"):
        assert_close(received[0][name], terms[name])
    assert_close(received[1], energy)
    differences = map(np.subtract, received[2], encoder)
    assert max(np.abs(d).max() for d in differences) > 1e-2


@pytest.mark.parametrize("option", OPTIONS)
def test_without_one_of_the_options_nt_xent_is_another(option):
    x = images()
    expected = step_of(build())(x)[0]["nt_xent"]
    model = on_replicas(**{option: False})
    terms, _ = run(step_of(model), each(np.split(x, 2)))
    assert abs(np.mean(terms["nt_xent"]) - expected) > 1e-2


def test_validation_counts_every_image_once():
    model, x = on_replicas(), images(13)
    result = model.evaluate(x, batch_size=8, verbose=0, return_dict=True)
    energies = model.predict(x, verbose=0)
    # The mean of the batches' means, as on one device.
    expected = (energies[:8].mean() + energies[8:].mean()) / 2
    np.testing.assert_allclose(result["energy_positive"], expected, rtol=1e-5)
    assert all(np.isfinite(value) for value in result.values())


def test_options_are_saved_and_files_of_before_have_the_defaults():
    model = build(**dict.fromkeys(OPTIONS, False))
    config = {**model.get_config(), "augmentation": None}
    for expected in (False, True):
        copied = CLEL.from_config(config)
        assert copied.teacher.gather_latents == expected
        assert copied.encoder.get_config()["synchronized"] == expected
        config["teacher"]["config"].pop("gather_latents", None)
        config["encoder"]["config"].pop("synchronized", None)


# === What replicas share ===


def test_means_weigh_as_much_as_their_rows():
    received = run(replicas.weighted, each([2.0, 6.0]), each([3, 1]))
    assert np.mean(received) == pytest.approx((3 * 2.0 + 6.0) / 4)
    received = run(replicas.weighted, each([2.0, np.nan]), each([4, 0]))
    assert np.mean(received) == pytest.approx(2.0)
    assert replicas.weighted(2.0, 3) == 2.0


def test_statistics_that_differ_become_their_mean_over_all_rows():
    model = on_replicas()
    with STRATEGY.scope():
        layers = keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)
        model.encoder = keras.Sequential([keras.Input((3,)), *layers])
    mean = layers[0].moving_mean

    def shared(rows, value):
        mean.assign(tf.fill(mean.shape, value))
        model._synchronize_statistics(rows)
        return tf.identity(mean.value)

    received = run(shared, each([3, 1]), each([2.0, 6.0]))
    np.testing.assert_array_equal(received, np.full((2, 3), 3.0))


def test_others_are_the_other_replicas_rows_with_their_gradients():
    shards = [np.ones((3, 2), "float32"), np.full((1, 2), 2.0, "float32")]

    def others_of(rows):
        context = tf.distribute.get_replica_context()
        factor = 10.0 ** tf.cast(context.replica_id_in_sync_group, "float32")
        with tf.GradientTape() as tape:
            tape.watch(rows)
            others = replicas.others(rows)
            loss = factor * tf.reduce_sum(others**2)
        return others, tape.gradient(loss, rows)

    others, gradients = run(others_of, each(shards))
    assert_close(others, shards[::-1])
    # A row's gradient comes from the replica that it is elsewhere for.
    assert_close(gradients, [20.0 * shards[0], 2.0 * shards[1]])


# === Chains ===


@pytest.fixture(scope="module")
def sampling():
    sampler = SGLD(step_size=1.0, noise_scale=0.01, num_steps=3)
    return on_replicas(kind=CLEL, sampler=sampler)


def test_replicas_draw_numbers_and_chains_of_their_own(sampling):
    def drawn():
        keys = sampling._step_keys()
        chains, _ = sampling.negatives(keys, 4)
        return keys, chains

    keys, chains = run(drawn)
    for first, second in keys:
        assert first != second
    first, second = chains.images
    distances = np.abs(first[:, None] - second).mean(axis=(2, 3, 4))
    # Uniform noise is 1/3 apart, and a shared chain would not be.
    assert distances.min() > 0.2


@pytest.mark.slow
def test_replicas_have_chains_of_their_own():
    sampler = SGLD(step_size=1.0, noise_scale=0.01, num_steps=3)
    model = on_replicas(kind=CLEL, sampler=sampler, run_eagerly=False)
    start = model.replay_buffer.images
    batches = tf.data.Dataset.from_tensors(images(16)).repeat(6)
    history = model.fit(batches, verbose=0).history
    assert np.isfinite(history["energy_loss"]).all()
    chains = model.replay_buffer.images
    assert chains.shape == (32, *SHAPE)
    first, second = np.split(chains, 2)
    assert (first != start[:16]).any() and (second != start[16:]).any()
    assert np.abs(first - second).mean() > 0.05
    for part in (
        model.energy_network,
        model.encoder,
        model.ema_energy_network,
        model.ema_encoder,
    ):
        for variable in part.variables:
            one, two = variable.value.values
            np.testing.assert_array_equal(one.numpy(), two.numpy())


def test_chains_compiled_in_replicas_are_the_plain_graphs(sampling):
    def moved():
        return sampling.negatives(sampling._step_keys(), 4)[0].images

    plain = sampling.sampler
    expected = run(moved)
    sampling.sampler = SGLD(**{**plain.get_config(), "jit_compile": True})
    try:
        assert_close(run(moved), expected)
    finally:
        sampling.sampler = plain
