"""Out-of-distribution scores of networks in two precisions."""

import numpy as np
import pytest

from clel_tf import ood
from clel_tf import presets
from clel_tf.models import CLEL
from clel_tf.models.preset_files import in_dtype

TINY = {"widths": [3], "depths": [1], "head_width": 4, "latent_dim": 3}


def digits(count, seed):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 17, (count, 8, 8, 1), "uint8")


TRAIN, IMAGES = digits(12, 1), digits(5, 3)


def build(dtype, seed=0):
    config = presets.get("digits")
    config["energy_network"].update(TINY, feature_dim=3)
    config["encoder"].update(TINY)
    config["replay_buffer"]["capacity"] = 8
    return presets.build(presets.with_dtypes(config, dtype), seed)


@pytest.fixture(scope="module")
def rounded():
    return build("mixed_bfloat16")


@pytest.fixture(scope="module")
def exact(rounded):
    return in_dtype(rounded, "float32")


@pytest.fixture(scope="module")
def reference():
    return build("mixed_bfloat16", seed=1).energy_network


def dtypes(network):
    return {layer.compute_dtype for layer in network.layers}


def test_scores_of_bfloat16_networks_are_of_float32(rounded, exact):
    for score in (
        ood.JointEnergy(),
        ood.LatentNeighbors(network="energy_network"),
        ood.GradientNorm(),
        ood.ViewDifference(views=2),
    ):
        score.adapt(exact, TRAIN)
        scores, expected = (
            model.score(IMAGES, score=score) for model in (rounded, exact)
        )
        assert scores.dtype == np.float32
        scale = np.abs(expected).max()
        np.testing.assert_allclose(scores / scale, expected / scale, atol=0.1)
        assert np.any(scores != expected)


def test_a_copy_in_another_dtype_has_what_the_score_learned(rounded):
    score = ood.LatentNeighbors(k=2)
    rounded.calibrate_ood(TRAIN[:4], 0.25, score, TRAIN[4:])
    copied = in_dtype(rounded, "float32")
    assert copied.ood_score is not score and copied.ood_score.k == 2
    assert copied.ood_threshold == rounded.ood_threshold
    np.testing.assert_array_equal(copied.ood_score.bank, score.bank)


def test_a_reference_is_of_the_dtype_of_the_model(rounded, reference, tmp_path):
    rounded.ood_score = ood.EnergyDifference(reference)
    rounded.save_to_preset(tmp_path / "mine", samples=0)
    for copied in (
        in_dtype(rounded, "float32"),
        CLEL.from_preset(tmp_path / "mine", dtype="float32"),
    ):
        found = copied.ood_score.reference
        assert dtypes(found) == {"float32"}
        for a, b in zip(found.get_weights(), reference.get_weights()):
            np.testing.assert_array_equal(a, b)
        assert in_dtype(copied, "float32") is copied


def test_a_reference_alone_is_a_reason_for_a_copy(exact, reference):
    exact.ood_score = ood.EnergyDifference(reference)
    copied = in_dtype(exact, "float32")
    assert dtypes(reference) > {"float32"}
    assert dtypes(copied.ood_score.reference) == {"float32"}
