"""What bfloat16 networks change in the samples of a trained model: little."""

import numpy as np
import pytest

import clel_tf
from clel_tf import presets
from clel_tf.models import CLEL

# It trains a model; precision_test.py and graph_optimization_test.py are fast.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    recipe = presets.with_dtypes(presets.get("digits"), "float32")
    recipe["energy_network"]["widths"] = [16, 32, 64]
    recipe["encoder"]["widths"] = [8, 16, 32]
    trained = presets.build(recipe, seed=100)
    trained.compile(total_steps=60)
    data = clel_tf.data.load("digits")
    batches = data.train(batch_size=32, seed=100)
    trained.fit(batches, steps_per_epoch=60, verbose=0)
    folder = str(tmp_path_factory.mktemp("preset") / "digits")
    trained.save_to_preset(folder, samples=0)
    return {
        dtype: CLEL.from_preset(folder, dtype=dtype)
        for dtype in ("float32", "mixed_bfloat16")
    }


def test_both_are_one_model(models):
    f32, bf16 = models.values()
    assert (
        f32.energy_network.get_config()["dtype"]
        != (bf16.energy_network.get_config()["dtype"])
    )
    for a, b in zip(f32.weights, bf16.weights):
        np.testing.assert_array_equal(a, b)


def test_energies_agree_on_digits_and_noise(models):
    digits = clel_tf.data.load("digits").x_test
    noise = np.random.default_rng(0).random(digits.shape, "float32")
    for images in (digits, noise):
        exact, rounded = (m.predict(images, verbose=0) for m in models.values())
        assert relative_error(rounded, exact) < 0.01
        assert np.corrcoef(rounded, exact)[0, 1] > 0.999


def test_paired_chains_stay_together_for_a_few_steps(models):
    f32, bf16 = (m.sample(64, num_steps=5, seed=1) for m in models.values())
    moved = f32 - models["float32"].sample(64, num_steps=0, seed=1)
    error = np.linalg.norm(bf16 - f32) / np.linalg.norm(moved)
    assert 0 < error < 0.03


def test_long_chains_differ_no_more_than_two_seeds_do(models):
    exact, other, rounded = (
        models[dtype].sample(256, num_steps=140, seed=seed)
        for dtype, seed in (
            ("float32", 2),
            ("float32", 3),
            ("mixed_bfloat16", 4),
        )
    )
    energies, rounded_energies = (
        models["float32"].predict(images, verbose=0)
        for images in (exact, rounded)
    )
    # The standard error of the difference of both means is 1.6%.
    np.testing.assert_allclose(
        rounded_energies.mean(), energies.mean(), rtol=0.06
    )
    np.testing.assert_allclose(rounded_energies.std(), energies.std(), rtol=0.2)
    for statistic in (np.mean, np.std):
        a, b, c = (statistic(x, axis=0) for x in (exact, rounded, other))
        assert rms(a - b) < 1.5 * rms(a - c)


def relative_error(actual, expected):
    return np.linalg.norm(actual - expected) / np.linalg.norm(expected)


def rms(values):
    return np.sqrt(np.mean(np.square(values)))
