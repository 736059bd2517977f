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
    assert "digits" in presets.list()
    assert presets.list() == sorted(presets.list())
    for name in presets.list():
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


def test_builds_the_papers_model():
    model = presets.build(presets.get("cifar10_small"))
    network, encoder = model.energy_network, model.encoder
    count = sum(int(np.prod(w.shape)) for w in network.trainable_variables)
    assert count == 1_725_056 and encoder.config["depths"] == 18
    stored = {}
    model.replay_buffer.save_own_variables(stored)
    assert stored["images"].nbytes == 30_720_000  # 31 MB
    assert model.sampler.langevin_temperature == pytest.approx(5e-9)


# The published settings, by preset and for all of them.
CIFAR10 = ([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616])
CELEBA = ([0.5186, 0.4182, 0.3647], [0.2996, 0.2715, 0.2668])
IMAGENET32 = "tfds:imagenet_resized/32x32"
PUBLISHED = {
    "cifar10_small": ("tfds:cifar10", CIFAR10, "small", 32),
    "cifar10_base": ("tfds:cifar10", CIFAR10, "base", 32),
    "cifar10_large": ("tfds:cifar10", CIFAR10, "large", 32),
    "imagenet32_base": (IMAGENET32, CIFAR10, "base", 32),
    "imagenet32_large": (IMAGENET32, CIFAR10, "large", 32),
    "celeba64_base": ("tfds:celeb_a", CELEBA, "base", 64),
}
PUBLISHED_PARTS = {
    "sampler": {
        "step_size": 100.0,
        "noise_scale": 0.001,
        "num_steps": 60,
        "sample_steps": 600,
    },
    "replay_buffer": {
        "capacity": 10_000,
        "reinitialize_probability": 0.001,
        "max_age": None,
    },
    "augmentation": {
        "flavour": "reference",
        "crop_scale": [0.08, 1.0],
        "crop_ratio": [0.75, pytest.approx(1.3333333)],
        "brightness": 0.4,
        "contrast": 0.4,
        "saturation": 0.4,
        "hue": 0.1,
        "jitter_probability": 0.8,
        "grayscale_probability": 0.2,
        "flip_probability": 0.5,
    },
    "chain_augmentation": {},
    "teacher": {"kind": "simclr", "temperature": 0.2},
    "model": {
        "chain_augmentation_probability": 1.0,
        "alpha": 1.0,
        "beta": 0.01,
        "encoder_l2": 5e-4,
        "ema_decay": pytest.approx(0.9977844),
        "ema_start": 312,
        "levels": 256,
    },
    "recipe": {
        "steps": 100_000,
        "batch_size": 64,
        "energy_optimizer": {
            "learning_rate": 1e-4,
            "warmup_steps": 2000,
            "final_fraction": 1.0,
            "beta_1": 0.0,
            "beta_2": 0.999,
            "epsilon": 1e-8,
        },
        "encoder_optimizer": {
            "learning_rate": 3e-2,
            "warmup_steps": 0,
            "final_fraction": 0.0,
            "momentum": 0.9,
        },
    },
}


def test_the_papers_presets_are_there():
    assert set(presets.list()) == {"digits", *PUBLISHED}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_papers_recipes_are_as_published(name):
    config = presets.get(name)
    data, (mean, std), size, side = PUBLISHED[name]
    for part, options in PUBLISHED_PARTS.items():
        assert config[part] == options
    assert config["data"] == data
    network, encoder = config["energy_network"], config["encoder"]
    for part in (network, encoder):
        assert part["image_shape"] == [side, side, 3]
        assert (part["mean"], part["std"]) == (mean, std)
    assert tuple(network["widths"]) == EnergyResNet.sizes[size]["widths"]
    assert tuple(network["depths"]) == EnergyResNet.sizes[size]["depths"]
    assert network.get("towers", 1) == (3 if size == "large" else 1)
    assert network["dense_stddev"] == 0.01
    assert encoder["depths"] == 18
    assert encoder["stem_size"] == (7 if side == 64 else 3)


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


def test_a_samplers_numbers_may_be_schedules():
    recipe = presets.get("digits")
    recipe["sampler"]["noise_scale"] = {
        "class_name": "PolynomialDecay",
        "config": {
            "initial_learning_rate": 0.02,
            "decay_steps": 100,
            "end_learning_rate": 0.0,
        },
    }
    built = presets.build(json.loads(json.dumps(recipe)))
    noise = [float(built.sampler.noise_scale(i)) for i in (0, 50, 100)]
    np.testing.assert_allclose(noise, [0.02, 0.01, 0.0], atol=1e-8)


def test_an_unknown_part_is_refused():
    with pytest.raises(ValueError, match="received: 'replay_bufer'"):
        presets.build({**tiny(), "replay_bufer": {"capacity": 4}})


# === Teachers ===


def test_recipes_of_before_there_were_teachers_are_simclrs():
    config = tiny()
    del config["teacher"]
    config["model"].update(temperature=0.3, gather_latents=False)
    upgraded = presets.upgraded(config)
    assert upgraded["teacher"] == {
        "kind": "simclr",
        "temperature": 0.3,
        "gather_latents": False,
    }
    assert config["model"]["temperature"] == 0.3
    teacher = presets.build(config).teacher
    assert (teacher.temperature, teacher.gather_latents) == (0.3, False)
    assert presets.upgraded(upgraded) == upgraded


def test_the_seed_decides_a_teachers_weights():
    masked = {"kind": "masked", "decoder_width": 4}
    first, same, other = (
        presets.build({**tiny(), "teacher": masked}, seed=s) for s in (3, 3, 4)
    )
    weights = [m.teacher.get_weights() for m in (first, same, other)]
    for a, b in zip(weights[0], weights[1], strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.abs(weights[0][0] - weights[2][0]).max() > 0.01


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"teacher": {"kind": "oracle"}}, "kind.*received: 'oracle'"),
        ({"teacher": {"kind": "byol", "temperature": 1.0}}, "teacher.*temp"),
        ({"teacher": {"kind": "none", "momentum": 1.0}}, "no settings"),
        ({"teacher": {"kind": "frozen"}}, "path.*received: None"),
        ({"teacher": {"kind": "none"}}, "no part 'encoder'"),
    ],
)
def test_teachers_that_are_none_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        presets.build({**tiny(), **changes})
