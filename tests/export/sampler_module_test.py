import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from clel_tf import models
from clel_tf import ood
from clel_tf import presets
from clel_tf import random
from clel_tf import samplers
from clel_tf.export import SamplerModule
from clel_tf.export import lint_saved_model
from clel_tf.samplers import energies


def test_every_input_and_output_is_a_batch(signatures):
    names = {
        k: (
            sorted(s.structured_input_signature[1]),
            sorted(s.structured_outputs),
        )
        for k, s in signatures.items()
    }
    chains = {
        "sample": ["seed"],
        "sample_conditional": ["latents", "seed"],
        "sample_class": ["class_id", "seed"],
        "sample_like": ["images", "seed"],
        "sample_composed": ["seed", "weights"],
        "sample_first_or_second": ["seed"],
        "inpaint": ["images", "mask", "seed"],
        "refine": ["images", "num_steps", "seed"],
    }
    floats = {
        **{name: (inputs, ["images"]) for name, inputs in chains.items()},
        "energy": (["images"], ["energy"]),
        "latents": (["images"], ["latents"]),
        "ood_score": (["images"], ["is_ood", "score", "threshold"]),
    }
    expected = {"serving_default": floats["sample"], **floats}
    for name, sides in floats.items():
        expected[f"{name}_png"] = tuple(
            sorted("image_bytes" if x == "images" else x for x in side)
            for side in sides
        )
    assert names == expected
    for signature in signatures.values():
        inputs = signature.structured_input_signature[1].values()
        for spec in [*inputs, *signature.outputs]:
            assert spec.shape.rank >= 1 and spec.shape[0] is None


def test_latents_of_any_length_are_directions(model, signatures):
    latents = np.random.default_rng(0).normal(size=(3, 64)).astype("float32")
    served = signatures["sample_conditional"](
        seed=tf.constant(random.row_seeds(0, 3)),
        latents=tf.constant(5.0 * latents),
    )["images"]
    expected = model.sample(3, num_steps=4, latents=latents)
    np.testing.assert_allclose(served, expected, atol=1e-5)


def test_weights_compose_classes(model, signatures, class_latents):
    weights = [[1.0, 0.0, 0.0], [0.5, 0.0, -2.0], [0.0, 0.0, 0.0]]
    served = signatures["sample_composed"](
        seed=tf.constant(random.row_seeds(0, 3)), weights=tf.constant(weights)
    )["images"]
    first, _, third = (model.guidance(z) for z in class_latents)
    by_hand = [first, 0.5 * first + 2.0 * ~third]
    for row, guidance in enumerate(by_hand):
        expected = model.sample(3, energy=guidance, num_steps=4)[row]
        np.testing.assert_allclose(served[row], expected, atol=1e-5)
    # Without a condition, candidates are drawn by nothing.
    assert np.abs(served[2] - served[1]).max() > 1e-3


def test_an_energy_of_ones_own_is_a_signature(model, signatures, class_latents):
    served = signatures["sample_first_or_second"](
        seed=tf.constant(random.row_seeds(0, 6))
    )["images"]
    either = model.guidance(class_latents[0]) | model.guidance(class_latents[1])
    expected = model.sample(6, energy=either, num_steps=4)
    np.testing.assert_allclose(served, expected, atol=1e-5)


def test_inpainting_keeps_the_pixels(model, signatures, images):
    mask = np.zeros((5, 8, 8, 1), "float32")
    mask[:, :, 4:] = 1.0
    served = signatures["inpaint"](
        seed=tf.constant(random.row_seeds(0, 5)),
        images=tf.constant(images),
        mask=tf.constant(mask),
    )["images"].numpy()
    np.testing.assert_array_equal(served[:, :, :4], images[:, :, :4])
    term = energies.Inpaint(images, mask)
    expected = model.sample(5, energy=term, num_steps=4)
    np.testing.assert_allclose(served, expected, atol=1e-5)


def test_guidance_may_be_stronger_and_of_fewer_candidates(model):
    latents = np.random.default_rng(0).normal(size=(2, 64)).astype("float32")
    model.measure_energy_scale(np.full((2, 8, 8, 1), 0.5))
    module = SamplerModule(model, num_steps=4, ratio=3.0, candidates=2)
    served = module.sample_conditional(
        tf.constant(random.row_seeds(0, 2)), tf.constant(latents)
    )["images"]
    energy = energies.Conditional(latents, ratio=3.0)
    expected = model.sample(2, energy=energy, num_steps=4, candidates=2)
    model.energy_scale.assign(0.0)
    np.testing.assert_allclose(served, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"energies": {"like": energies.Marginal()}}, "Expected another name"),
        ({"energies": {"A b": energies.Marginal()}}, "lower case letters"),
        (
            {"energies": {"rows": energies.Conditional(np.eye(3, 64), beta=1)}},
            "rows; received: 3",
        ),
        (
            {"energies": {"x": energies.Conditional(np.ones(3), beta=1)}},
            "dimension 64",
        ),
        ({"ratio": 1.0}, "measure_energy_scale"),
        ({"candidates": 0}, "count"),
    ],
)
def test_energies_that_cannot_be_served_are_refused(model, options, words):
    with pytest.raises(ValueError, match=words):
        SamplerModule(model, **options)


@pytest.mark.slow
def test_xla_draws_the_same(model, xla_path):
    loaded = tf.saved_model.load(xla_path)
    twins = {n: s for n, s in loaded.signatures.items() if n.endswith("_xla")}
    for name, twin in twins.items():
        plain = loaded.signatures[name.removesuffix("_xla")]
        for side in ("structured_input_signature", "structured_outputs"):
            assert str(getattr(twin, side)) == str(getattr(plain, side))
    seeds = tf.constant(random.row_seeds(0, 2))
    images = twins["sample_xla"](seed=seeds)["images"]
    expected = model.sample(2, num_steps=4)
    np.testing.assert_allclose(images, expected, atol=1e-4)


def test_signatures_are_those_that_there_is_something_for(model):
    names = set(SamplerModule(model).signatures)
    assert "sample_png" in names
    assert "inpaint" in names
    assert not {"sample_class", "sample_composed", "sample_xla"} & names
    images = tf.fill([2, 8, 8, 1], 0.5)
    outputs = SamplerModule(model).ood_score(images)
    assert set(outputs) == {"score"}
    config = presets.get("digits")
    for name in ("energy_network", "encoder"):
        config[name].update(
            widths=[8], depths=[1], image_shape=(8, 8, 2), mean=0.5, std=0.5
        )
    two_channels = presets.build(config)
    names = set(SamplerModule(two_channels).signatures)
    assert "sample" in names and "sample_png" not in names


def test_a_models_own_threshold_is_served(model, tmp_path):
    config = {**model.get_config(), "ood_threshold": np.float32(0.125)}
    judged = models.CLEL.from_config(config)
    judged.save_to_preset(tmp_path / "preset", samples=0)
    judged = models.CLEL.from_preset(tmp_path / "preset")
    module = SamplerModule(judged)
    outputs = module.ood_score(tf.fill([2, 8, 8, 1], 0.5))
    np.testing.assert_array_equal(outputs["threshold"], [0.125, 0.125])
    expected = outputs["score"].numpy() > 0.125
    np.testing.assert_array_equal(outputs["is_ood"], expected)
    assert SamplerModule(judged, ood_threshold=0.5).ood_threshold == 0.5


@pytest.mark.parametrize(
    "make",
    [
        lambda model: ood.JointEnergy(beta=0.5),
        lambda model: ood.LatentNeighbors(k=2),
        lambda model: ood.GradientNorm(),
        lambda model: ood.ViewDifference(views=2),
        lambda model: ood.EnergyDifference(model.energy_network),
    ],
)
def test_a_models_own_score_is_served(
    model, images, tmp_path, monkeypatch, make
):
    noise = np.random.default_rng(3).uniform(size=(19, 8, 8, 1))
    monkeypatch.setattr(model, "ood_score", make(model))
    model.calibrate_ood(noise[:9], 0.5, training_images=noise[9:])
    archive = keras.export.ExportArchive()
    signature = SamplerModule(model).signatures["ood_score"]
    archive.add_endpoint("ood_score", *signature)
    archive.write_out(str(tmp_path / "served"), verbose=False)
    assert lint_saved_model(tmp_path / "served") == []
    served = tf.saved_model.load(tmp_path / "served").signatures["ood_score"]
    outputs = served(images=tf.constant(images))
    np.testing.assert_allclose(
        outputs["score"], model.score(images), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_array_equal(outputs["is_ood"], model.is_ood(images))
    np.testing.assert_array_equal(
        outputs["threshold"], np.full(5, model.ood_threshold, "float32")
    )
    assert 0 < np.sum(outputs["is_ood"]) < 5


def test_a_score_has_to_have_learned_to_be_served(model, monkeypatch):
    monkeypatch.setattr(model, "ood_score", ood.Typicality())
    with pytest.raises(ValueError, match="Typicality.*which has not"):
        SamplerModule(model)


def test_operators_are_told_score_and_threshold(path):
    text = (path / "README.md").read_text()
    assert "`score` is `JointEnergy()`" in text
    assert "`is_ood` is true above 0.25" in text
    facts = json.loads((path / "signatures.json").read_text())
    assert facts["ood_score"] == "JointEnergy()"


def test_a_temperature_may_be_chosen(model, monkeypatch):
    module = SamplerModule(model, num_steps=4, langevin_temperature=0.0)
    images = module.sample(tf.constant(random.row_seeds(0, 2)))["images"]
    warm = model.sample(2, num_steps=4)
    cold = samplers.SGLD(step_size=model.sampler.step_size, noise_scale=0.0)
    monkeypatch.setattr(model, "sampler", cold)
    expected = model.sample(2, num_steps=4)
    np.testing.assert_allclose(images, expected, atol=1e-5)
    assert np.abs(images - warm).max() > 1e-3


@pytest.mark.parametrize("signature", ["sample_conditional", "refine"])
def test_a_row_does_not_depend_on_the_others(signatures, images, signature):
    inputs = {
        "seed": random.row_seeds(0, 5),
        "latents": np.random.default_rng(0).normal(size=(5, 64)),
        "images": images,
        "num_steps": np.array([1, 6, 2, 5, 3]),
    }
    function = signatures[signature]
    specs = function.structured_input_signature[1]
    inputs = {k: tf.constant(inputs[k], s.dtype) for k, s in specs.items()}
    batch = function(**inputs)["images"]
    alone = function(**{k: v[2:3] for k, v in inputs.items()})["images"]
    np.testing.assert_allclose(alone[0], batch[2], atol=1e-5)
