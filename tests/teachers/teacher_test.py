import copy

import keras
import numpy as np
import pytest
from linear_model import LABELS
from linear_model import build
from linear_model import fit
from linear_model import images
from linear_model import values

from clel_tf import ood
from clel_tf import teachers
from clel_tf.callbacks.training_state import copy_state
from clel_tf.callbacks.training_state import set_state
from clel_tf.export.sampler_module import SamplerModule
from clel_tf.models import CLEL
from clel_tf.samplers.energies import Conditional
from clel_tf.samplers.energies import class_means

KINDS = {
    "simclr": teachers.SimCLR,
    "simclr_no_negatives": lambda: teachers.SimCLR(generated_negatives=False),
    "byol": lambda: teachers.BYOL(momentum=0.9, predictor_width=5, seed=0),
    "masked": lambda: teachers.Masked(decoder_width=5, seed=0),
    "supervised": lambda: teachers.Supervised(temperature=0.2),
    "frozen": teachers.Frozen,
    "none": None,
}
OWN_WEIGHTS = {"byol": 9, "masked": 4}


def model_of(kind):
    if kind == "none":
        return build(None, with_encoder=False, beta=0.0)
    return build(KINDS[kind]())


def own_weights(model):
    return [] if model.teacher is None else model.teacher.weights


def assert_equal(a, b):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def trained(kind):
    """A model, and what its teacher held before its step."""
    model = model_of(kind)
    before = values(own_weights(model))
    history = fit(model, images())
    assert all(np.isfinite(v).all() for v in history.values())
    return model, before


def test_a_step_trains_what_the_teacher_holds(kind, trained):
    model, before = trained
    after = values(own_weights(model))
    assert len(before) == len(after) == OWN_WEIGHTS.get(kind, 0)
    for a, b in zip(before, after):
        assert (a != b).any()


def test_a_step_that_is_not_finite_changes_nothing_that_a_teacher_holds(
    trained,
):
    model, _ = trained
    before = values([*model._training_state(), *own_weights(model)])
    skipped = int(model.skipped_steps.numpy())
    fit(model, np.full((8, 4, 4, 1), np.nan, "float32"))
    assert int(model.skipped_steps.numpy()) == skipped + 1
    after = values([*model._training_state(), *own_weights(model)])
    assert_equal(after, before)


def test_training_goes_on_exactly_from_a_file_and_from_a_state(
    trained, tmp_path
):
    model, _ = trained
    model.save(tmp_path / "model.keras")
    state = copy_state(model)
    expected = fit(model, images(seed=1)), values(model.weights)
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for goes_on in (loaded, model):
        if goes_on is model:
            set_state(model, state)
        received = fit(goes_on, images(seed=1))
        assert received == expected[0]
        assert_equal(values(goes_on.weights), expected[1])


def test_a_preset_is_what_inference_needs(kind, trained, tmp_path):
    model, _ = trained
    model.save_to_preset(tmp_path / "preset", samples=0)
    names = {p.name for p in (tmp_path / "preset").iterdir()}
    encoder = set() if kind == "none" else {"encoder.weights.h5"}
    own = {"card.json", "config.json", "energy_network.weights.h5"}
    assert names == own | encoder
    loaded = CLEL.from_preset(tmp_path / "preset")
    assert type(loaded.teacher) is type(model.teacher)
    x = images(3, seed=2)
    assert_equal([loaded.predict(x, verbose=0)], [model.predict(x, verbose=0)])
    if kind != "none":
        assert_equal([loaded.latents(x)], [model.latents(x)])


def test_validation_has_the_terms_of_training(kind, trained):
    model, _ = trained
    before = values(model.weights)
    result = model.evaluate(
        images(), LABELS, batch_size=8, verbose=0, return_dict=True
    )
    loss = {
        "simclr_no_negatives": "nt_xent",
        "simclr": "nt_xent",
        "masked": "masked_reconstruction",
        "supervised": "supervised_contrastive",
    }.get(kind, kind)
    expected = {"energy_positive", "energy_negative", "energy_gap"}
    expected |= {"energy_loss"}
    if kind != "none":
        expected.add("latent_similarity")
    if kind not in ("none", "frozen"):
        expected |= {"encoder_loss", loss}
    assert expected <= set(result)
    assert not {"nt_xent", "encoder_loss"} & set(result) - expected
    assert all(np.isfinite(v) for v in result.values())
    assert_equal(values(model.weights), before)


def test_the_settings_are_saved():
    for teacher in (
        teachers.SimCLR(0.3, False, False),
        teachers.BYOL(0.5, 7, seed=3),
        teachers.Masked(0.25, 1, 9, seed=4),
        teachers.Supervised(0.4, False),
        teachers.Frozen(augment=False),
    ):
        copied = keras.saving.deserialize_keras_object(
            keras.saving.serialize_keras_object(teacher)
        )
        assert type(copied) is type(teacher)
        assert copied.get_config() == teacher.get_config()


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: teachers.SimCLR(temperature=0.0), "temperature"),
        (lambda: teachers.Supervised(temperature=-1.0), "temperature"),
        (lambda: teachers.BYOL(momentum=1.0), "momentum"),
        (lambda: teachers.BYOL(predictor_width=0), "predictor_width"),
        (lambda: teachers.Masked(mask_ratio=1.0), "mask_ratio"),
        (lambda: teachers.Masked(patch_size=0), "patch_size"),
        (lambda: build(teachers.Masked(patch_size=3)), "whole patches"),
        (lambda: build(teachers.Masked(patch_size=4)), "at least two"),
        (lambda: build(None, with_encoder=False), "`beta` 0"),
        (
            lambda: build(teachers.SimCLR(), with_encoder=False, beta=0.0),
            "no teacher",
        ),
    ],
)
def test_bad_arguments_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_a_model_takes_teachers_that_are_no_others():
    with pytest.raises(TypeError, match="clel_tf.teachers"):
        build("simclr")
    teacher = teachers.BYOL()
    build(teacher)
    with pytest.raises(ValueError, match="of this model's own"):
        build(teacher)


def test_configurations_of_before_there_were_teachers_are_simclrs():
    model = build(teachers.SimCLR(0.3, gather_latents=False))
    config = model.get_config()
    del config["teacher"]
    old = {"temperature": 0.3, "gather_latents": False}
    # Keras empties the networks' configurations as it reads them.
    copied = CLEL.from_config({**copy.deepcopy(config), **old})
    assert copied.teacher.temperature == 0.3
    assert not copied.teacher.gather_latents
    assert copied.teacher.generated_negatives
    assert CLEL.from_config(config).teacher.temperature == 0.2


# === Without an encoder ===


@pytest.fixture(scope="module")
def plain():
    return model_of("none")


def test_a_plain_model_samples_and_scores_by_its_energy(plain):
    x = images(3)
    assert plain.sample(2, num_steps=2).shape == (2, 4, 4, 1)
    energies = plain.predict(x, verbose=0)
    np.testing.assert_array_equal(plain.score(x), energies)


@pytest.mark.parametrize(
    "use",
    [
        lambda model: model.latents(images(2)),
        lambda model: model.latents(images(2), views=1),
        lambda model: model.energy_latents(images(2)),
        lambda model: model.sample(2, latents=np.ones(3)),
        lambda model: model.sample(2, energy=Conditional(np.ones(3), beta=1.0)),
        lambda model: class_means(model, images(), LABELS),
        lambda model: model.score(images(2), score=ood.JointEnergy()),
        lambda model: ood.LatentNeighbors().adapt(model, images()),
        lambda model: ood.NeighborEnergy().adapt(model, images()),
        lambda model: SamplerModule(model, class_latents=np.ones((2, 3))),
    ],
)
def test_a_plain_model_says_that_it_has_no_latents(plain, use):
    with pytest.raises(ValueError, match="a model with an encoder"):
        use(plain)


def test_exports_of_a_plain_model_have_no_signature_of_latents(plain):
    names = set(SamplerModule(plain).signatures)
    assert {"sample", "inpaint", "refine", "energy", "ood_score"} <= names
    latents = {"latents", "sample_conditional", "sample_like", "sample_class"}
    assert not latents & names
    full = build(teachers.SimCLR(), energy_scale=1.0)
    assert {"latents", "sample_like"} <= set(SamplerModule(full).signatures)
