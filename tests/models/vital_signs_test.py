import math

import h5py
import numpy as np
import pytest
import tensorflow as tf

from clel_tf import presets
from clel_tf.models.vital_signs import SIGNS
from clel_tf.models.vital_signs import VitalSigns

NOISE = 0.007
USUAL = {
    "energy_positive": 1e-3,
    "energy_negative": 2e-3,
    "gradient_norm": 1.0,
    "chain_saturation": 0.2,
    "chain_displacement": 7e-3,
    "chain_travel": 0.05,
}
HEALTHY = (0, 0, 0)
JUDGED = 101  # the first step with a usual to be compared with


@pytest.fixture(scope="module")
def traced():
    vitals = VitalSigns()

    @tf.function
    def record(values, faults, step):
        vitals.record(values, faults, step, NOISE)

    def follow(steps, faults=HEALTHY, **changes):
        for step in steps:
            values = {
                name: tf.constant(value, tf.float32)
                for name, value in {**USUAL, **changes}.items()
            }
            record(values, tf.constant(faults), tf.constant(step, tf.int64))

    return vitals, follow


@pytest.fixture
def vitals(traced):
    for variable in traced[0].variables:
        variable.assign(np.zeros(variable.shape))
    return traced[0]


@pytest.fixture
def follow(traced, vitals):
    return traced[1]


def index(name):
    return list(SIGNS).index(name)


# === Statistics ===


def test_means_and_spread_are_those_of_the_last_steps(vitals, follow):
    count = 150
    noise = np.random.default_rng(0).uniform(-1, 1, (len(USUAL), count))
    drawn = {k: v * np.exp(x) for (k, v), x in zip(USUAL.items(), noise)}
    for i in range(count):
        follow([i + 1], **{name: values[i] for name, values in drawn.items()})
    assert vitals.read() is None
    observed = {name: np.log(values) for name, values in drawn.items()}
    observed["chain_saturation"] = drawn["chain_saturation"]
    observed["energy_gap"] = (
        observed["energy_negative"] - observed["energy_positive"]
    )
    for name in SIGNS:
        recent = [
            observed[name][: n + 1] @ weights(n + 1, 0.2) for n in range(count)
        ]
        mean = observed[name] @ weights(count, 0.01)
        variance = (observed[name] - recent) ** 2 @ weights(count, 0.01)
        for variable, expected in (
            (vitals.recent, recent[-1]),
            (vitals.mean, mean),
            (vitals.variance, variance),
        ):
            received = float(variable[index(name)])
            assert received == pytest.approx(expected, rel=1e-3, abs=1e-5)


def weights(count, least):
    """Of each of `count` values, if the n-th is taken at max(1/n, least)."""
    shares = np.maximum(1 / np.arange(1, count + 1), least)
    kept = np.append(np.cumprod((1 - shares)[:0:-1])[::-1], 1)
    return shares * kept


def test_replicas_share_the_signs_of_their_mean():
    strategy = tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"],
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )
    with strategy.scope():
        vitals = VitalSigns()

    def step():
        context = tf.distribute.get_replica_context()
        own = tf.cast(context.replica_id_in_sync_group, tf.float32)
        values = {name: tf.constant(value) for name, value in USUAL.items()}
        values["gradient_norm"] = 1.0 + 2.0 * own
        vitals.record(values, tf.constant(HEALTHY), 1, NOISE)

    tf.function(lambda: strategy.run(step))()
    for replica in vitals.mean.value.values:
        received = float(replica[index("gradient_norm")])
        assert received == pytest.approx(math.log(2.0))


# === Departures ===


def test_a_departure_is_noted_with_its_first_step_and_size(vitals, follow):
    follow(range(1, JUDGED))
    changed = range(JUDGED, JUDGED + 10)
    follow(changed, energy_positive=0.1, energy_negative=0.2)
    incident = vitals.read()
    # Of a jump by log 100 the mean of the last steps has seen half, which is
    # the least that counts, at the fourth step: 1 - 0.8**4 > 1/2 > 1 - 0.8**3.
    assert incident.step == JUDGED + 3
    assert set(incident.signs) == {"energy_positive", "energy_negative"}
    assert incident.signs["energy_positive"] == pytest.approx(
        {
            "value": 1e-3 * 100 ** (1 - 0.8**10),
            "usual": 1e-3,
            "allowed": 1e-2,
        },
        rel=1e-3,
    )
    assert incident.undone_in_a_row == 0
    assert not any(incident.faults.values())


@pytest.mark.parametrize(
    "change, name, above",
    [
        ({"energy_positive": 0.1}, "energy_positive", True),
        ({"energy_negative": 0.2}, "energy_gap", True),
        ({"energy_negative": 2e-5}, "energy_gap", False),
        ({"gradient_norm": 100.0}, "gradient_norm", True),
        ({"gradient_norm": 0.01}, "gradient_norm", False),
        ({"chain_saturation": 0.6}, "chain_saturation", True),
        ({"chain_displacement": 0.05}, "chain_displacement", True),
        ({"chain_displacement": 0.0}, "chain_displacement", False),
        ({"chain_travel": 0.3}, "chain_travel", True),
    ],
)
def test_each_sign_departs_to_either_side(vitals, follow, change, name, above):
    follow(range(1, JUDGED))
    follow(range(JUDGED, JUDGED + 10), **change)
    sign = vitals.read().signs[name]
    numbers = [sign["usual"], sign["allowed"], sign["value"]]
    assert numbers == sorted(numbers, reverse=not above)


def test_one_step_alone_is_no_departure(vitals, follow):
    follow(range(1, JUDGED))
    follow([JUDGED], energy_positive=0.1, energy_negative=0.2)
    follow(range(JUDGED + 1, JUDGED + 10))
    assert vitals.read() is None


def test_nothing_is_usual_before_there_are_statistics(vitals, follow):
    follow(range(1, 50))
    follow(range(50, JUDGED), energy_positive=1.0, energy_negative=2.0)
    assert vitals.read() is None


@pytest.mark.parametrize(
    "name, fine, wrong",
    [("chain_saturation", 0.98, 0.995), ("chain_displacement", 0.1, 0.15)],
)
def test_some_bounds_hold_at_any_step(vitals, follow, name, fine, wrong):
    follow(range(1, 3), **{name: fine})
    assert vitals.read() is None
    follow(range(3, 40), **{name: wrong})
    assert set(vitals.read().signs) == {name}


@pytest.mark.parametrize("shift, noted", [(5.0, False), (15.0, True)])
def test_a_wide_spread_allows_for_wide_departures(vitals, follow, shift, noted):
    for step in range(1, JUDGED):
        follow([step], gradient_norm=math.exp((-1) ** step))
    follow(range(JUDGED, JUDGED + 10), gradient_norm=math.exp(shift))
    # Eight standard deviations, of about 1, are more than the least of log 10.
    assert (vitals.read() is not None) == noted


def test_a_drift_is_no_spread(vitals, follow):
    for step in range(1, JUDGED):
        follow([step], gradient_norm=math.exp(step / 50))
    follow(range(JUDGED, JUDGED + 10), gradient_norm=math.exp(5.0))
    # From 0 to 2, with a standard deviation of 0.6, of which 8 would be 4.6.
    assert vitals.read() is not None


def test_what_has_departed_does_not_become_the_usual(vitals, follow):
    follow(range(1, JUDGED))
    follow(range(101, 301), energy_positive=0.1, energy_negative=0.2)
    sign = vitals.read().signs["energy_positive"]
    assert sign["usual"] == pytest.approx(1e-3, rel=1e-3)
    follow(range(301, 321))
    vitals.forget()
    follow([321])
    assert vitals.read() is None


# === Faults ===


def test_steps_with_faults_are_counted_by_kind_and_not_followed(vitals, follow):
    follow(range(1, 6))
    before = vitals.mean.numpy()
    for step, faults in ((6, (1, 0, 2)), (7, (0, 0, 1)), (8, (0, 1, 1))):
        follow([step], faults, energy_positive=np.nan)
    incident = vitals.read()
    assert incident.step == 6 and not incident.signs
    assert incident.faults == {"images": 1, "chains": 1, "losses": 3}
    assert incident.undone_in_a_row == 3
    np.testing.assert_array_equal(vitals.mean, before)
    follow([9])
    assert vitals.read().undone_in_a_row == 0
    vitals.forget()
    follow([10])
    assert vitals.read() is None


def test_reset_begins_anew(vitals, follow):
    follow(range(1, JUDGED))
    follow(range(JUDGED, JUDGED + 10), gradient_norm=1000.0)
    vitals.reset()
    follow(range(111, 320), gradient_norm=1000.0)
    assert vitals.read() is None
    mean = float(vitals.mean[index("gradient_norm")])
    assert mean == pytest.approx(math.log(1000), rel=1e-4)


# === Files ===


def small_model(seed=0):
    config = presets.get("digits")
    small = {"widths": [8], "depths": [1], "head_width": 8, "latent_dim": 8}
    for part in ("energy_network", "encoder"):
        config[part].update(small)
    config["replay_buffer"]["capacity"] = 8
    return presets.build(config, seed)


def test_files_keep_them_and_older_files_do_without(tmp_path):
    model = small_model()
    model.vital_signs.mean.assign(np.arange(7.0))
    model.vital_signs.restorations.assign(3)
    path = tmp_path / "new.weights.h5"
    model.save_weights(path)
    loaded = small_model(1)
    loaded.load_weights(path)
    for a, b in zip(model.weights, loaded.weights):
        np.testing.assert_array_equal(a, b)
    with h5py.File(path, "a") as file:
        del file["layers/vital_signs"]
    loaded = small_model(1)
    loaded.load_weights(path)
    assert int(loaded.vital_signs.restorations.numpy()) == 0
    networks = model.energy_network, loaded.energy_network
    for a, b in zip(*(network.weights for network in networks)):
        np.testing.assert_array_equal(a, b)
