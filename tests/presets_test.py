import json

import numpy as np
import pytest
from sklearn.datasets import load_digits

from clel_tf import presets
from clel_tf.models import CLEL
from clel_tf.models import EnergyResNet

TINY = {"widths": [3, 4], "depths": [1, 1], "head_width": 4, "latent_dim": 3}


def tiny(**parts):
    config = presets.get("digits")
    config["energy_network"].update(TINY, feature_dim=3)
    config["encoder"].update(TINY)
    config["replay_buffer"]["capacity"] = 8
    for name, options in parts.items():
        config[name] = {**config[name], **options}
    return config


def test_names_are_what_get_takes():
    assert "digits" in presets.names()
    assert presets.names() == sorted(presets.names())
    for name in presets.names():
        config = presets.get(name)
        assert json.loads(json.dumps(config)) == config


def test_a_recipe_is_the_callers_own():
    presets.get("digits")["energy_network"]["widths"].append(1)
    presets.get("digits")["model"].clear()
    config = presets.get("digits")
    assert len(config["energy_network"]["widths"]) == 3
    assert config["model"]["levels"] == 17


def test_refuses_unknown_names():
    with pytest.raises(ValueError, match="digits.*received: 'digit'"):
        presets.get("digit")


def test_the_digits_statistics_are_the_datas():
    images = (load_digits().images + 0.5) / 17
    for part in ("energy_network", "encoder"):
        options = presets.get("digits")[part]
        assert options["mean"] == pytest.approx(images.mean(), abs=0.002)
        assert options["std"] == pytest.approx(images.std(), abs=0.002)
        assert tuple(options["image_shape"]) == (8, 8, 1)


def test_builds_the_recipes_model():
    config = tiny(
        sampler={"num_steps": 7, "step_size": 3.0},
        model={"beta": 0.25, "ema_decay": 0.5},
        augmentation={"contrast": 0.125},
        replay_buffer={"max_age": 11},
        recipe={"steps": 13},
    )
    before = json.dumps(config)
    model = presets.build(config, seed=5)
    assert isinstance(model, CLEL)
    assert model.image_shape == (8, 8, 1)
    assert (model.sampler.num_steps, model.sampler.step_size) == (7, 3.0)
    assert (model.beta, model.ema_decay, model.seed) == (0.25, 0.5, 5)
    assert model.augmentation.jitter.contrast == 0.125
    assert model.replay_buffer.max_age == 11
    assert model.recipe["steps"] == 13
    assert len(model.energy_network.spectral_layers) == 6
    assert json.dumps(config) == before


def test_chains_are_augmented_as_views_are_but_for_what_the_recipe_changes():
    model = presets.build(tiny(augmentation={"contrast": 0.125}))
    assert model.chain_augmentation is model.augmentation
    changed = tiny(
        augmentation={"contrast": 0.125},
        chain_augmentation={"crop_scale": [0.9, 1.0]},
    )
    model = presets.build(changed)
    assert model.chain_augmentation.crop.scale == (0.9, 1.0)
    assert model.chain_augmentation.jitter.contrast == 0.125
    assert model.augmentation.crop.scale == (0.6, 1.0)


PAPERS = [name for name in presets.names() if name != "digits"]


def test_the_papers_presets_are_there():
    assert sorted(PAPERS) == [
        "celeba64_base",
        "cifar10_base",
        "cifar10_large",
        "cifar10_small",
        "imagenet32_base",
        "imagenet32_large",
    ]


def test_builds_the_papers_models():
    model = presets.build(presets.get("cifar10_small"))
    network, encoder = model.energy_network, model.encoder
    count = sum(int(np.prod(w.shape)) for w in network.trainable_variables)
    assert count == 1_725_056 and encoder.config["depths"] == 18
    stored = {}
    model.replay_buffer.save_own_variables(stored)
    assert stored["images"].nbytes == 30_720_000  # 31 MB
    assert model.sampler.langevin_temperature == pytest.approx(5e-9)
    # Half a moving average is as old as 20,000 images, batches of 64.
    assert model.ema_decay ** (20_000 / 64) == pytest.approx(0.5)
    assert (model.alpha, model.beta, model.temperature) == (1.0, 0.01, 0.2)
    assert model.encoder_l2 == 5e-4 and model.levels == 256


@pytest.mark.parametrize("name", PAPERS)
def test_the_papers_networks_are_those_of_their_names(name):
    config = presets.get(name)
    data, size = name.split("_")
    part = config["energy_network"]
    side = 64 if data == "celeba64" else 32
    assert part["image_shape"] == [side, side, 3]
    assert tuple(part["widths"]) == EnergyResNet.sizes[size]["widths"]
    assert part.get("towers", 1) == (3 if size == "large" else 1)
    assert config["encoder"]["stem_size"] == (7 if side == 64 else 3)
    assert (config["recipe"]["steps"], config["recipe"]["batch_size"]) == (
        100_000,
        64,
    )


def all_weights(model):
    return [*model.get_weights(), model.replay_buffer.images]


def test_the_seed_decides_everything():
    first, same, other = (presets.build(tiny(), seed=s) for s in (3, 3, 4))
    for a, b in zip(all_weights(first), all_weights(same), strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.any(first.replay_buffer.images != other.replay_buffer.images)
    for name in ("energy_network", "encoder"):
        a, b = (getattr(m, name).get_weights()[0] for m in (first, other))
        assert np.abs(a - b).max() > 0.01


@pytest.mark.parametrize(
    "part",
    [
        "energy_network",
        "encoder",
        "sampler",
        "replay_buffer",
        "augmentation",
        "model",
    ],
)
def test_an_unknown_argument_is_refused_with_its_parts_name(part):
    with pytest.raises(ValueError, match=f"'{part}'.*wdiths"):
        presets.build(tiny(**{part: {"wdiths": 3}}))


def test_a_bad_value_is_refused_with_its_parts_name():
    with pytest.raises(ValueError, match="'sampler'.*`num_steps`.*received: 0"):
        presets.build(tiny(sampler={"num_steps": 0}))


def test_a_missing_argument_is_refused_with_its_parts_name():
    config = tiny()
    del config["encoder"]["image_shape"]
    with pytest.raises(ValueError, match="'encoder'.*image_shape"):
        presets.build(config)


def test_an_unknown_part_is_refused():
    with pytest.raises(ValueError, match="received: 'replay_bufer'"):
        presets.build({**tiny(), "replay_bufer": {"capacity": 4}})
