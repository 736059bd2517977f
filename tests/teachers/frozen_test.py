import keras
import numpy as np
import pytest
from linear_model import build
from linear_model import embeddings
from linear_model import encoder
from linear_model import fit
from linear_model import images
from linear_model import unit
from linear_model import values

from clel_tf import presets
from clel_tf import random
from clel_tf import teachers
from clel_tf.models import CLEL
from clel_tf.models.preset_files import in_dtype


def test_the_encoder_stays_and_the_energy_network_learns():
    model = build(teachers.Frozen())
    assert model.ema_encoder is model.encoder
    before = [values(n.weights) for n in (model.encoder, model.energy_network)]
    fit(model, images(), None)
    after = [values(n.weights) for n in (model.encoder, model.energy_network)]
    for a, b in zip(before[0], after[0], strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(before[1], after[1], strict=True):
        assert (a != b).any()


@pytest.mark.parametrize("augment", [True, False])
def test_targets_are_of_views_or_of_the_images(augment):
    model = build(teachers.Frozen(augment=augment))
    x, key = images(3), random.as_key(7)
    seen = model.augmentation(x, seed=key).numpy() if augment else x
    expected = unit(embeddings(model.encoder, seen))
    np.testing.assert_allclose(model._target(x, key), expected, rtol=1e-5)


def test_statistics_of_batches_are_not_followed():
    normed = keras.Sequential(
        [encoder(), keras.layers.BatchNormalization(momentum=0.5)]
    )
    teacher = teachers.Frozen()
    teacher.build_for(normed)
    before = values(normed.weights)
    target = teacher.target(normed, images(), training=True)
    expected = unit(normed(images(), training=False).numpy())
    np.testing.assert_allclose(target, expected, rtol=1e-5)
    for a, b in zip(values(normed.weights), before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "layers, words",
    [
        ([keras.layers.Dense(4)], "one latent dimension.*3, encoder 4"),
        ([keras.layers.Reshape((3, 1))], "an encoder of vectors"),
    ],
)
def test_encoders_that_do_not_fit_are_refused(layers, words):
    other = keras.Sequential([encoder(), *layers])
    model = build(teachers.Frozen())
    with pytest.raises(ValueError, match=words):
        CLEL(model.energy_network, other, teachers.Frozen())


def test_a_recipe_takes_an_encoder_of_any_dtype_from_a_file(tmp_path):
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(inputs)
    x = keras.layers.Dense(6, dtype="mixed_bfloat16")(x)
    keras.Model(inputs, x).save(tmp_path / "encoder.keras")
    config = presets.get("digits")
    del config["encoder"]
    config["energy_network"].update(widths=[4], depths=[1], latent_dim=6)
    config["replay_buffer"]["capacity"] = 8
    path = str(tmp_path / "encoder.keras")
    config["teacher"] = {"kind": "frozen", "path": path, "augment": False}
    model = presets.build(presets.with_dtypes(config, "float32"))
    assert not model.teacher.augment
    latents = model.latents(np.zeros((2, 8, 8, 1), "uint8"))
    assert latents.shape == (2, 6) and latents.dtype == np.float32
    # The dtypes that can be chosen are those of what is trained.
    assert in_dtype(model, "float32") is model
    low = in_dtype(model, "mixed_bfloat16")
    assert low.energy_network.get_config()["dtype"]["config"]["name"] == (
        "mixed_bfloat16"
    )
    np.testing.assert_array_equal(
        low.latents(np.zeros((2, 8, 8, 1), "uint8")), latents
    )
