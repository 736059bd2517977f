import keras
import numpy as np
import pytest
import tensorflow as tf

from clel_tf import random
from clel_tf.samplers import ReplayBuffer

SHAPE = (4, 3, 1)


def built(capacity=24, p=0.0, shape=SHAPE, **kwargs):
    buffer = ReplayBuffer(capacity, p, **kwargs)
    buffer.build((None, *shape))
    return buffer


def key(step=0):
    return random.fold_in(random.as_key(99), step)


def bytes_of(images):
    return np.clip(np.floor(256.0 * np.asarray(images, "float64")), 0, 255)


def fill(buffer, images, ages=None):
    indices = tf.range(buffer.capacity)
    chains = buffer.draw(key(), buffer.capacity)
    ages = tf.zeros_like(indices) if ages is None else tf.constant(ages)
    images = tf.convert_to_tensor(images)
    buffer.write(chains._replace(images=images, ages=ages, indices=indices))


def visit(buffer, key, batch_size, amount):
    chains = buffer.draw(key, batch_size)
    images = tf.clip_by_value(chains.images + amount, 0.0, 1.0)
    buffer.write(chains._replace(images=images, ages=chains.ages + 2))
    return chains.indices


def test_begins_as_uniform_noise():
    buffer = built(500)
    x = buffer.images
    assert x.shape == (500, *SHAPE) and x.dtype == np.float32
    # 6,000 values of a uniform variable: mean 1/2, variance 1/12.
    assert x.mean() == pytest.approx(0.5, abs=4 * (1 / 12 / x.size) ** 0.5)
    assert x.var() == pytest.approx(1 / 12, rel=0.05)
    assert len(np.unique(x.reshape(500, -1), axis=0)) == 500
    np.testing.assert_array_equal(buffer.images, built(500).images)
    assert np.any(buffer.images != built(500, seed=1).images)
    assert not buffer.ages.any()


def test_bounded_ages_begin_staggered():
    ages = built(400, max_age=10).ages
    assert ages.dtype == np.int32
    counts = np.bincount(ages, minlength=10)
    assert len(counts) == 10
    assert np.all(np.abs(counts - 40) < 4 * (400 * 0.1 * 0.9) ** 0.5)


def test_every_byte_comes_and_goes_unchanged():
    buffer = built(8, shape=(64, 64, 1))
    images = (np.arange(2**15).reshape(8, 64, 64, 1) % 256 + 0.5) / 256
    fill(buffer, images.astype("float32"))
    # 3 million visits of a byte: a rounding error of 2^-17 would show.
    step = tf.function(lambda key: visit(buffer, key, 8, 0.0))
    for i in range(100):
        step(key(i))
    np.testing.assert_array_equal(buffer.images, images.astype("float32"))
    np.testing.assert_array_equal(buffer.ages, np.full(8, 200))


def test_bytes_are_read_back_evenly_over_their_interval():
    buffer = built(16, shape=(32, 32, 1))
    fill(buffer, tf.fill((16, 32, 32, 1), 100.2 / 256))
    x = 256.0 * buffer.draw(key(), 16).images.numpy().astype("float64") - 100.0
    assert 0.0 <= x.min() < 0.001 and 0.999 < x.max() < 1.0
    assert x.mean() == pytest.approx(0.5, abs=4 * (1 / 12 / x.size) ** 0.5)
    assert x.var() == pytest.approx(1 / 12, rel=0.02)


@pytest.mark.parametrize(
    "value,byte",
    [(0.0, 0), (1 / 256, 1), (0.9999 / 256, 0), (0.5, 128), (1.0, 255)],
)
def test_a_value_becomes_the_byte_below_it(value, byte):
    buffer = built(2)
    fill(buffer, tf.fill((2, *SHAPE), value))
    np.testing.assert_allclose(buffer.images, (byte + 0.5) / 256)


def test_float_storage_keeps_values_exactly():
    buffer = built(storage="float32")
    images = np.random.default_rng(0).random((24, *SHAPE), "float32")
    fill(buffer, images)
    np.testing.assert_array_equal(buffer.images, images)
    chains = buffer.draw(key(), 7)
    np.testing.assert_array_equal(chains.images, images[chains.indices.numpy()])


def test_draws_without_replacement_and_evenly():
    buffer, counts = built(24), np.zeros(24)
    draw = tf.function(lambda step: buffer.draw(key(step), 8))
    for step in range(300):
        chains = draw(tf.constant(step))
        indices = chains.indices.numpy()
        assert chains.indices.dtype == tf.int32
        assert len(set(indices)) == 8
        counts[indices] += 1
    # Each place is drawn with probability 1/3.
    assert np.all(np.abs(counts - 100) < 4 * (300 * 2 / 9) ** 0.5)
    whole = buffer.draw(key(), 24).indices.numpy()
    assert sorted(whole) == list(range(24))
    assert list(whole) != list(buffer.draw(key(1), 24).indices.numpy())


def test_draws_what_the_indices_say():
    buffer = built()
    fill(buffer, buffer.images, ages=np.arange(24, dtype="int32"))
    chains = buffer.draw(key(), 9)
    np.testing.assert_array_equal(chains.ages, chains.indices)
    stored = bytes_of(buffer.images)[chains.indices.numpy()]
    np.testing.assert_array_equal(bytes_of(chains.images), stored)


def test_restarts_with_the_given_probability():
    buffer = built(64, p=0.2, shape=(2, 2, 1))
    fill(buffer, tf.zeros((64, 2, 2, 1)), ages=np.full(64, 5, "int32"))
    chains = [buffer.draw(key(step), 64) for step in range(60)]
    reborn = np.concatenate([c.ages for c in chains]) == 0
    count = reborn.size
    assert reborn.mean() == pytest.approx(0.2, abs=4 * (0.16 / count) ** 0.5)
    images = np.concatenate([c.images for c in chains])
    assert images[~reborn].max() < 1 / 256
    noise = images[reborn]
    error = 4 * (1 / 12 / noise.size) ** 0.5
    assert noise.mean() == pytest.approx(0.5, abs=error)
    assert 0.0 <= noise.min() and noise.max() < 1.0
    # Which rows restart differs from draw to draw.
    assert len(np.unique(reborn.reshape(60, 64), axis=0)) == 60


@pytest.mark.parametrize("p,expected", [(0.0, 0), (1.0, 24)])
def test_restarts_never_or_always(p, expected):
    buffer = built(p=p)
    fill(buffer, buffer.images, ages=np.full(24, 7, "int32"))
    ages = buffer.draw(key(), 24).ages.numpy()
    assert np.sum(ages == 0) == expected


def test_restarts_chains_of_the_maximal_age():
    buffer = built(max_age=10)
    ages = np.arange(24, dtype="int32")
    fill(buffer, tf.zeros((24, *SHAPE)), ages=ages)
    chains = buffer.draw(key(), 24)
    stored = ages[chains.indices.numpy()]
    np.testing.assert_array_equal(
        chains.ages, np.where(stored >= 10, 0, stored)
    )
    largest = np.max(chains.images, axis=(1, 2, 3))
    np.testing.assert_array_equal(largest > 1 / 256, stored >= 10)


def test_restart_can_be_refused():
    buffer = built(p=1.0, max_age=1)
    fill(buffer, buffer.images, ages=np.full(24, 7, "int32"))
    chains = buffer.draw(key(), 24, restart=False)
    assert np.all(chains.ages == np.full(24, 7))


@pytest.mark.parametrize("storage", ["uint8", "float32"])
def test_writes_only_where_told(storage):
    buffer = built(storage=storage)
    before = buffer.images
    chains = buffer.draw(key(), 6)
    chains = chains._replace(
        images=tf.fill((6, *SHAPE), 0.25), ages=chains.ages + 3
    )
    buffer.write(chains, where=False)
    np.testing.assert_array_equal(buffer.images, before)
    assert not buffer.ages.any()

    where = np.array([True, False, True, False, False, True])
    buffer.write(chains, where=tf.constant(where))
    written = np.zeros(24, bool)
    written[chains.indices.numpy()[where]] = True
    np.testing.assert_array_equal(buffer.ages, np.where(written, 3, 0))
    np.testing.assert_array_equal(buffer.images[~written], before[~written])
    np.testing.assert_allclose(buffer.images[written], 0.25, atol=1 / 256)


def test_values_that_are_not_finite_are_not_written_where_false():
    buffer = built(storage="float32")
    before = buffer.images
    chains = buffer.draw(key(), 6)
    chains = chains._replace(images=tf.fill((6, *SHAPE), float("nan")))
    buffer.write(chains, where=tf.constant(False))
    np.testing.assert_array_equal(buffer.images, before)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_compiled_visits_agree_with_eager_ones(jit_compile):
    plain, compiled = (built(p=0.3, max_age=5) for _ in range(2))
    fn = tf.function(
        lambda k: visit(compiled, k, 8, 0.1), jit_compile=jit_compile
    )
    for step in range(6):
        indices = visit(plain, key(step), 8, 0.1)
        np.testing.assert_array_equal(fn(key(step)), indices)
    np.testing.assert_array_equal(plain.ages, compiled.ages)
    # An addition may be contracted and then fall into the next byte.
    np.testing.assert_allclose(plain.images, compiled.images, atol=1.01 / 256)
    assert np.mean(plain.images != compiled.images) < 0.01


def test_the_batch_may_be_a_tensor():
    buffer = built()
    draw = tf.function(lambda n: buffer.draw(key(), n))
    for n in (3, 5):
        chains = draw(tf.constant(n))
        np.testing.assert_array_equal(
            chains.indices, buffer.draw(key(), n).indices
        )
        assert chains.images.shape == (n, *SHAPE)


class Holder(keras.Model):
    def __init__(self, **kwargs):
        super().__init__()
        self.buffer = built(**kwargs)
        self.built = True


def test_weights_files_hold_the_buffer(tmp_path):
    holder, other = Holder(seed=1, max_age=9), Holder(seed=2, max_age=9)
    fill(holder.buffer, holder.buffer.images, np.arange(24, dtype="int32"))
    assert np.any(holder.buffer.images != other.buffer.images)
    holder.save_weights(tmp_path / "a.weights.h5")
    other.load_weights(tmp_path / "a.weights.h5")
    np.testing.assert_array_equal(other.buffer.images, holder.buffer.images)
    np.testing.assert_array_equal(other.buffer.ages, np.arange(24))


def test_refuses_the_contents_of_another_shape():
    store = {}
    built(24).save_own_variables(store)
    with pytest.raises(ValueError, match=r"\(12, 4, 3, 1\); received"):
        built(12).load_own_variables(store)


@pytest.fixture(scope="module")
def strategy():
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def visit_replicas(strategy, buffer, steps):
    @tf.function
    def step(key):
        def replica():
            context = tf.distribute.get_replica_context()
            own = context.replica_id_in_sync_group
            # Replica 0 darkens its images and replica 1 brightens them.
            amount = tf.where(tf.equal(own, 0), -1.0, 1.0)
            visit(buffer, random.fold_in(key, own), 3, amount)

        strategy.run(replica)

    for i in range(steps):
        step(key(i))


def test_replicas_hold_shards_of_their_own(strategy):
    with strategy.scope():
        buffer = built(16)
    assert buffer.shard_capacity == 8
    # The same chains as on one device, dealt out.
    np.testing.assert_array_equal(buffer.images, built(16).images)
    visit_replicas(strategy, buffer, 30)
    np.testing.assert_array_equal(buffer.images[:8], 0.5 / 256)
    np.testing.assert_array_equal(buffer.images[8:], 255.5 / 256)
    # Every replica moved 3 chains by 2 steps 30 times.
    assert buffer.ages[:8].sum() == buffer.ages[8:].sum() == 180
    assert np.any(buffer.ages[:8] != buffer.ages[8:])


def test_shards_are_saved_and_restored(strategy, tmp_path):
    with strategy.scope():
        holder, other = Holder(capacity=16), Holder(capacity=16, seed=1)
    visit_replicas(strategy, holder.buffer, 3)
    images, ages = holder.buffer.images, holder.buffer.ages
    assert np.any(images[:8] != images[8:])
    holder.save_weights(tmp_path / "a.weights.h5")
    with strategy.scope():
        other.load_weights(tmp_path / "a.weights.h5")
    alone = Holder(capacity=16, seed=1)
    alone.load_weights(tmp_path / "a.weights.h5")
    for buffer in (other.buffer, alone.buffer):
        np.testing.assert_array_equal(buffer.images, images)
        np.testing.assert_array_equal(buffer.ages, ages)


def test_refuses_a_capacity_that_replicas_cannot_share(strategy):
    with strategy.scope():
        with pytest.raises(ValueError, match="multiple of the 2 replicas"):
            built(15)


def test_refuses_a_batch_larger_than_the_shard(strategy):
    with pytest.raises(ValueError, match="at most 24 .*received: 25"):
        built(24).draw(key(), 25)
    with strategy.scope():
        buffer = built(24)
    with pytest.raises(ValueError, match="at most 12 .*received: 13"):
        strategy.run(lambda: buffer.draw(key(), 13))


def test_config_round_trip():
    options = {
        "capacity": 5,
        "reinitialize_probability": 0.5,
        "max_age": 7,
        "storage": "float32",
        "seed": 3,
    }
    buffer = ReplayBuffer(**options, name="chains")
    config = keras.saving.serialize_keras_object(buffer)
    copied = keras.saving.deserialize_keras_object(config)
    assert copied.get_config() == buffer.get_config()
    assert options.items() <= copied.get_config().items()
    assert copied.name == "chains"


@pytest.mark.parametrize(
    "arguments",
    [
        {"capacity": 0},
        {"capacity": 2.0},
        {"reinitialize_probability": 1.5},
        {"reinitialize_probability": float("nan")},
        {"max_age": 0},
        {"max_age": 1.5},
        {"storage": "float16"},
    ],
)
def test_refuses_bad_arguments(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"`{name}` .*received"):
        ReplayBuffer(**arguments)


@pytest.mark.parametrize("storage", ["uint8", "float32"])
def test_the_first_chains_are_those_of_all(storage):
    buffer = built(24, storage=storage)
    np.testing.assert_array_equal(buffer.first(5), buffer.images[:5])


def test_noise_in_pieces_is_the_noise_of_each_chain():
    buffer = built(2100, storage="float32", seed=3)
    keys = random.fold_in(random.as_key(3), tf.constant([0, 999, 1000, 2099]))
    expected = random.uniform(keys, SHAPE)
    received = buffer.images[[0, 999, 1000, 2099]]
    np.testing.assert_array_equal(received, expected)
