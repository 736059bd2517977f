import math

import keras
import pytest

from clel_tf.optimizers import Adam
from clel_tf.optimizers import recipe as optimizers


def rates(optimizer, steps):
    schedule = optimizer._learning_rate
    return [float(schedule(step)) for step in steps]


def test_defaults_are_the_papers():
    energy, encoder = optimizers.from_recipe({})
    assert isinstance(energy, Adam)
    assert (energy.beta_1, energy.beta_2) == (0.0, 0.999)
    assert energy.epsilon == 1e-8
    assert isinstance(encoder, keras.optimizers.SGD)
    assert encoder.momentum == 0.9 and not encoder.nesterov
    # L2 is coupled, so it is the loss's: see CLEL's `encoder_l2`.
    assert not energy.weight_decay and not encoder.weight_decay


def test_default_schedules_are_the_papers():
    energy, encoder = optimizers.from_recipe({})
    # Linear over 2,000 steps, then constant.
    received = rates(energy, [0, 499, 1999, 50_000, 100_000])
    expected = [5e-8, 2.5e-5, 1e-4, 1e-4, 1e-4]
    assert received == pytest.approx(expected, rel=1e-5)
    # Half a cosine over 100,000 steps, from the first.
    received = rates(encoder, [0, 25_000, 50_000, 100_000])
    expected = [0.03, 0.03 * (0.5 + 0.5**1.5), 0.015, 0.0]
    assert received == pytest.approx(expected, rel=1e-4, abs=1e-9)


def closed_form(step, peak, warmup, total, final):
    if step < warmup:
        return peak * (step + 1) / warmup
    last = max(warmup - 1, 0)  # of the warm-up, where the cosine starts
    share = min((step - last) / (total - last), 1.0)
    cosine = 0.5 * (1.0 + math.cos(math.pi * share))
    return peak * (final + (1.0 - final) * cosine)


@pytest.mark.parametrize("final", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("warmup", [0, 1, 10])
@pytest.mark.parametrize("name", ["energy_optimizer", "encoder_optimizer"])
def test_warm_up_and_cosine_to_the_end(name, warmup, final):
    options = {
        "learning_rate": 0.2,
        "warmup_steps": warmup,
        "final_fraction": final,
    }
    built = optimizers.from_recipe({"steps": 50, name: options})
    steps = [0, 1, 5, 9, 10, 11, 30, 49, 50, 80]
    received = rates(built[name == "encoder_optimizer"], steps)
    expected = [closed_form(s, 0.2, warmup, 50, final) for s in steps]
    assert received == pytest.approx(expected, rel=1e-5, abs=1e-8)


def test_total_steps_override_the_recipes():
    _, encoder = optimizers.from_recipe({"steps": 1000}, total_steps=20)
    received = rates(encoder, [10, 20])
    assert received == pytest.approx([0.015, 0.0], abs=1e-8)


def test_a_run_shorter_than_the_warm_up_follows_it():
    energy, _ = optimizers.from_recipe({}, total_steps=10)
    assert rates(energy, [10]) == pytest.approx([1e-4 * 11 / 2000], rel=1e-5)


def test_options_reach_the_optimizers():
    energy, encoder = optimizers.from_recipe(
        {
            "energy_optimizer": {"beta_1": 0.5, "clipnorm": 2.0},
            "encoder_optimizer": {"momentum": 0.8, "nesterov": True},
        }
    )
    assert (energy.beta_1, energy.beta_2) == (0.5, 0.999)
    assert energy.clipnorm == 2.0
    assert encoder.momentum == 0.8 and encoder.nesterov


def test_building_changes_neither_the_recipe_nor_the_defaults():
    recipe = {"energy_optimizer": {"learning_rate": 0.5}}
    before = str(optimizers.DEFAULTS)
    optimizers.from_recipe(recipe)
    assert recipe == {"energy_optimizer": {"learning_rate": 0.5}}
    assert str(optimizers.DEFAULTS) == before


def test_the_optimizers_can_be_saved():
    for built in optimizers.from_recipe({"steps": 50}):
        config = keras.optimizers.serialize(built)
        copied = keras.optimizers.deserialize(config)
        assert rates(copied, [7]) == pytest.approx(rates(built, [7]))
