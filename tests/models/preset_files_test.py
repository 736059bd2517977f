import json

import keras
import numpy as np
import pytest
from PIL import Image

import clel_tf
from clel_tf import presets
from clel_tf.models import CLEL
from clel_tf.models import preset_files

TINY = {"widths": [3, 4], "depths": [1, 1], "head_width": 4, "latent_dim": 3}


def build(seed=0, dtype=None):
    config = presets.get("digits")
    config["energy_network"].update(TINY, feature_dim=3)
    config["encoder"].update(TINY)
    config["replay_buffer"]["capacity"] = 8
    config["sampler"]["step_size"] = 2.0
    return presets.build(presets.with_dtypes(config, dtype), seed)


@pytest.fixture(scope="module")
def model():
    # As after training: averages apart from the live weights, and statistics.
    model, rng = build(), np.random.default_rng(0)
    for network in (model.ema_energy_network, model.ema_encoder):
        for variable in network.variables:
            change = rng.uniform(0.1, 0.3, variable.shape)
            if variable.name != "normalized_kernel":
                variable.assign_add(change)
    for layer in model.ema_energy_network.spectral_layers:
        layer.refresh(iterations=5)
    return model


def images(count=3):
    rng = np.random.default_rng(1)
    return rng.integers(0, 17, (count, 8, 8, 1), "uint8")


def dtypes(model):
    return [
        network.get_config()["dtype"]["config"]["name"]
        for network in (model.energy_network, model.ema_encoder)
    ]


def test_presets_compute_in_the_dtype_asked_for(model, tmp_path):
    model.save_to_preset(tmp_path / "preset", samples=0)
    for preset in ("digits", str(tmp_path / "preset")):
        for dtype in ("float32", "mixed_bfloat16"):
            loaded = CLEL.from_preset(preset, dtype=dtype)
            assert dtypes(loaded) == [dtype] * 2
    assert dtypes(CLEL.from_preset(tmp_path / "preset")) == dtypes(model)


def test_networks_without_a_dtype_refuse_one(model, tmp_path):
    def plain(network):
        return keras.Model(network.inputs, network.outputs)

    encoder = keras.Model(model.encoder.inputs, model.encoder.outputs[0])
    CLEL(plain(model.energy_network), encoder).save_to_preset(
        tmp_path / "a", samples=0
    )
    CLEL.from_preset(tmp_path / "a")
    with pytest.raises(ValueError, match="energy_network takes a `dtype`"):
        CLEL.from_preset(tmp_path / "a", dtype="float32")


def test_networks_without_a_dtype_may_be_of_it_already():
    def plain(dtype):
        model = build(dtype=dtype)
        energy_network = keras.Model(
            model.energy_network.inputs, model.energy_network.outputs
        )
        return CLEL(
            energy_network,
            keras.Model(model.encoder.inputs, model.encoder.outputs[0]),
        )

    model = plain("float32")
    assert preset_files.in_dtype(model, "float32") is model
    with pytest.raises(ValueError, match="energy_network takes a `dtype`"):
        preset_files.in_dtype(model, "mixed_bfloat16")
    with pytest.raises(ValueError, match="energy_network takes a `dtype`"):
        preset_files.in_dtype(plain("mixed_bfloat16"), "float32")


def test_a_saved_preset_is_the_model(model, tmp_path):
    path = tmp_path / "presets" / "mine"
    model.save_to_preset(path, samples=0)
    loaded = CLEL.from_preset(str(path))
    configs = [json.dumps(m.get_config()) for m in (loaded, model)]
    assert configs[0] == configs[1]
    np.testing.assert_array_equal(
        loaded.predict(images(), verbose=0), model.predict(images(), verbose=0)
    )
    np.testing.assert_array_equal(
        loaded.latents(images()), model.latents(images())
    )
    np.testing.assert_array_equal(
        loaded.sample(2, num_steps=2), model.sample(2, num_steps=2)
    )
    # What is loaded is not what an untrained model gives.
    fresh = build().predict(images(), verbose=0)
    assert np.all(model.predict(images(), verbose=0) != fresh)


def test_a_loaded_model_continues_from_the_averages(model, tmp_path):
    model.save_to_preset(tmp_path / "mine", samples=0)
    loaded = CLEL.from_preset(tmp_path / "mine")
    for name in ("energy_network", "encoder"):
        live = getattr(loaded, name).get_weights()
        averaged = getattr(loaded, f"ema_{name}").get_weights()
        for a, b in zip(live, averaged, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_preset_is_json_weights_and_a_picture(model, tmp_path):
    model.save_to_preset(tmp_path / "mine", samples=5)
    names = sorted(p.name for p in (tmp_path / "mine").iterdir())
    assert names == [
        "card.json",
        "config.json",
        "encoder.weights.h5",
        "energy_network.weights.h5",
        "samples.png",
    ]
    config = json.loads((tmp_path / "mine" / "config.json").read_text())
    assert config["sampler"]["config"]["step_size"] == 2.0
    assert config["levels"] == 17
    with Image.open(tmp_path / "mine" / "samples.png") as picture:
        pixels = np.asarray(picture)
    # Pixels of 8x8 images are drawn as squares of 6.
    drawn = model.sample(5).repeat(6, axis=1).repeat(6, axis=2)
    expected = clel_tf.images.make_grid(drawn, 3)[..., 0]
    np.testing.assert_array_equal(pixels, expected)


def test_a_card_tells_what_the_model_is(model, tmp_path):
    about = {"data": "digits", "frechet_distance": 0.2}
    model.save_to_preset(tmp_path / "mine", about=about, samples=0)
    card = json.loads((tmp_path / "mine" / "card.json").read_text())
    assert card["about"] == about and "picture" not in card
    weights = model.ema_encoder.weights
    assert card["parameters"]["encoder"] == sum(
        int(np.prod(w.shape)) for w in weights
    )
    assert card["image_shape"] == [8, 8, 1] and card["levels"] == 17
    assert card["training"]["recipe"]["steps"] == 2080
    assert card["sampling"]["class"] == "SGLD"
    assert card["sampling"]["step_size"] == 2.0
    assert card["ood"] == {"score": "JointEnergy", "threshold": None}
    assert card["versions"]["clel_tf"] == clel_tf.__version__


@pytest.mark.parametrize("about", [{"images": np.zeros(2)}, {"a": np.nan}])
def test_a_card_holds_json_alone(about, model, tmp_path):
    with pytest.raises(ValueError, match="Expected `about` to hold what JSON"):
        model.save_to_preset(tmp_path / "mine", about=about)
    assert not list(tmp_path.iterdir())


def test_refuses_an_existing_directory(model, tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(FileExistsError, match="Expected a new directory"):
        model.save_to_preset(tmp_path / "mine", samples=0)
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]
    assert not list((tmp_path / "mine").iterdir())


def test_a_name_gives_an_untrained_model_of_the_seed():
    models = [CLEL.from_preset("digits", seed=s) for s in (1, 2)]
    kernels = [m.energy_network.get_weights()[0] for m in models]
    assert models[0].seed == 1 and models[0].recipe["batch_size"] == 64
    assert np.any(kernels[0] != kernels[1])


@pytest.mark.parametrize("preset", ["digit", "missing/directory"])
def test_refuses_what_is_neither_a_name_nor_a_preset(preset, tmp_path):
    for path in (preset, tmp_path):
        with pytest.raises(ValueError, match="digits.*config.json; received"):
            CLEL.from_preset(path)


def test_refuses_a_preset_without_its_weights(model, tmp_path):
    model.save_to_preset(tmp_path / "mine", samples=0)
    (tmp_path / "mine" / "encoder.weights.h5").unlink()
    with pytest.raises((ValueError, OSError), match="encoder.weights.h5"):
        CLEL.from_preset(tmp_path / "mine")
