import json
import zipfile

import h5py
import keras
import numpy as np
import pytest

from clel_tf import ood
from clel_tf.models import CLEL

SCORES = {
    "joint_energy": lambda model, _: ood.JointEnergy(beta=0.5),
    "typicality": lambda model, _: ood.Typicality(),
    "neighbors": lambda model, _: ood.LatentNeighbors(k=2),
    "neighbor_energy": lambda model, _: ood.NeighborEnergy(k=2),
    "live_network": lambda model, _: ood.EnergyDifference(model.energy_network),
    "earlier_network": lambda _, earlier: ood.EnergyDifference(
        earlier.ema_energy_network
    ),
}


@pytest.fixture
def own(build_model):
    return build_model(seed=1)  # that tests may change


@pytest.fixture
def calibrated(own, model, train):
    def calibrate(name):
        score = SCORES[name](own, model)
        own.calibrate_ood(train[:20], 0.2, score, train[20:])
        return own

    return calibrate


def assert_same_judge(a, b, images):
    assert type(a.ood_score) is type(b.ood_score)
    assert a.ood_threshold == b.ood_threshold is not None
    scores, expected = (m.score(images) for m in (a, b))
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(a.is_ood(images), b.is_ood(images))


# === The model's score ===


def test_the_score_is_the_joint_energy_if_not_chosen_otherwise(own, images):
    assert type(own.ood_score) is ood.JointEnergy
    expected = own.energy(images, own.latents(images))
    np.testing.assert_allclose(own.score(images), expected, rtol=1e-5)


def test_another_score_forgets_the_threshold(own, train):
    own.calibrate_ood(train)
    same, threshold = own.ood_score, own.ood_threshold
    own.ood_score = same
    assert own.ood_threshold == threshold
    own.ood_score = ood.MarginalEnergy()
    assert own.ood_threshold is None
    with pytest.raises(TypeError, match="`OODScore`.*received: None"):
        own.ood_score = None


@pytest.mark.parametrize("locked", [False, True])
def test_a_score_set_later_is_a_part_of_the_model(own, train, locked):
    if locked:
        own.build((None, 8, 8, 1))
    count = len(own.weights)
    for score in (ood.Typicality(), ood.LatentNeighbors()):
        score.adapt(own, train)
        own.ood_score = score
        assert score in own.layers
        assert [len(own.weights), len(score.weights)] == [count + 1, 1]
        assert any(w is score.weights[0] for w in own.weights)
    score.adapt(own, train[:5])
    assert len(own.weights) == count + 1
    if locked:
        with pytest.raises(ValueError, match="cannot add new elements"):
            own.another = ood.JointEnergy()


def test_training_leaves_the_score_alone(calibrated, train):
    model = calibrated("neighbors")
    bank = model.ood_score.get_weights()
    model.compile(run_eagerly=True)
    before = model.energy_network.get_weights()
    model.fit(train[:8], batch_size=8, verbose=0)
    np.testing.assert_array_equal(model.ood_score.get_weights(), bank)
    after = model.energy_network.get_weights()
    assert all(np.any(a != b) for a, b in zip(before, after))


# === Saving ===


@pytest.mark.parametrize("name", SCORES)
def test_a_file_holds_score_and_threshold(calibrated, tmp_path, images, name):
    model = calibrated(name)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_same_judge(loaded, model, images)
    if name == "live_network":
        assert loaded.ood_score.reference is loaded.energy_network


@pytest.mark.parametrize("name", SCORES)
def test_a_preset_holds_score_and_threshold(calibrated, tmp_path, images, name):
    model = calibrated(name)
    model.save_to_preset(tmp_path / "mine", samples=0)
    loaded = CLEL.from_preset(tmp_path / "mine")
    assert_same_judge(loaded, model, images)
    configs = [json.dumps(m.get_config()) for m in (loaded, model)]
    assert configs[0] == configs[1]
    has_weights = (tmp_path / "mine" / "ood_score.weights.h5").exists()
    assert has_weights == (name != "joint_energy")


def test_a_preset_needs_the_weights_of_its_score(calibrated, tmp_path):
    calibrated("typicality").save_to_preset(tmp_path / "mine", samples=0)
    (tmp_path / "mine" / "ood_score.weights.h5").unlink()
    with pytest.raises((ValueError, OSError), match="ood_score.weights.h5"):
        CLEL.from_preset(tmp_path / "mine")


def test_a_configuration_holds_the_score_but_not_what_it_learned(
    calibrated, images
):
    model = calibrated("neighbors")
    copied = CLEL.from_config(model.get_config())
    assert copied.ood_threshold == model.ood_threshold
    assert copied.ood_score.k == 2 and not copied.ood_score.adapted
    with pytest.raises(ValueError, match="which has not"):
        copied.is_ood(images)


def without_score(path):
    config = json.loads(path.read_text())
    of_model = config.get("config", config)
    del of_model["ood_score"]
    path.write_text(json.dumps(config))


def test_files_of_before_there_were_scores_load(own, tmp_path, images):
    own.ood_threshold = 0.25
    own.save(tmp_path / "new.keras")
    with zipfile.ZipFile(tmp_path / "new.keras") as new:
        new.extractall(tmp_path)
    without_score(tmp_path / "config.json")
    with h5py.File(tmp_path / "model.weights.h5", "a") as weights:
        del weights["layers/joint_energy"]
    with zipfile.ZipFile(tmp_path / "old.keras", "w") as old:
        for name in ("metadata.json", "config.json", "model.weights.h5"):
            old.write(tmp_path / name, name)
    loaded = keras.saving.load_model(tmp_path / "old.keras")
    assert_same_judge(loaded, own, images)


def test_presets_of_before_there_were_scores_load(own, tmp_path, images):
    own.ood_threshold = 0.25
    own.save_to_preset(tmp_path / "mine", samples=0)
    without_score(tmp_path / "mine" / "config.json")
    loaded = CLEL.from_preset(tmp_path / "mine")
    assert_same_judge(loaded, own, images)
