import numpy as np
import pytest
from PIL import Image

from clel_tf import data
from clel_tf import presets
from clel_tf.samplers.energies import AveragePool
from clel_tf.samplers.energies import Conditional
from clel_tf.samplers.energies import DataFidelity
from clel_tf.samplers.energies import Inpaint
from clel_tf.samplers.energies import WeightedSum
from clel_tf.samplers.energies import class_means
from clel_tf.trainers import steering
from clel_tf.trainers.steering import Steering

LABELS = np.array([0, 3])
DIRECTIONS = np.eye(2, 16, dtype="float32")


def build():
    config = presets.get("digits")
    for name in ("energy_network", "encoder"):
        config[name].update(widths=[8], depths=[1], head_width=16)
        config[name].update(latent_dim=16, dtype="float32")
    return presets.build(config, 0)


@pytest.fixture(scope="module")
def model():
    model = build()
    model.measure_energy_scale(data.load("digits").x_test[:8])
    return model


@pytest.fixture
def workdir(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8), "uint8")
    Image.fromarray(pixels).save("a.png")
    path = tmp_path / "class_directions.npz"
    np.savez(path, directions=DIRECTIONS, labels=LABELS)
    return str(tmp_path)


@pytest.fixture
def plan(model, workdir):
    return lambda **flags: steering.plan(Steering(**flags), model, workdir)


def pixels_of_file():
    with Image.open("a.png") as image:
        return (np.asarray(image, "float32")[..., np.newaxis] + 0.5) / 256


def digits(*rows):
    images = data.load("digits").x_test[list(rows)]
    return ((images + 0.5) / 17).astype("float32")


def check_same(received, expected):
    assert received.structure == expected.structure
    for x, y in zip(received.tensors, expected.tensors, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-5)


def test_without_flags_there_is_no_guidance_and_no_caption(plan):
    assert plan() == steering.Plan()


@pytest.mark.parametrize("wanted, rows", [("3", [1]), ("3,0,3", [1, 0, 1])])
def test_classes_are_told_by_their_labels(plan, wanted, rows):
    planned = plan(class_id=wanted.split(","))
    latents = np.repeat(DIRECTIONS[rows], 2, axis=0)
    assert planned.guidance(2) == Conditional(latents)
    assert planned.captions == [f"class {LABELS[row]}" for row in rows]


def test_all_classes_are_those_that_there_are(plan):
    planned = plan(class_id=["all"], ratio=0.7)
    assert planned.guidance(1) == Conditional(DIRECTIONS, ratio=0.7)
    assert planned.captions == ["class 0", "class 3"]


def test_classes_of_data_are_measured_once(plan, model, monkeypatch):
    pixels = np.random.default_rng(1).integers(0, 256, (12, 8, 8, 1), "uint8")
    labels = np.arange(12) % 2 + 4
    np.savez("seen.npz", x=pixels, y=labels)
    loaded, load = [], data.load
    monkeypatch.setattr(data, "load", lambda x: loaded.append(x) or load(x))
    planned = plan(class_data="npz:seen.npz", energy="class(4) + class(5)")
    # Of bytes, whatever number of levels the model's own data has.
    images = ((pixels + 0.5) / 256).astype("float32")
    means, _ = class_means(model, images, labels)
    check_same(
        planned.guidance(3), WeightedSum([Conditional(z) for z in means])
    )
    assert loaded == ["npz:seen.npz"]


def test_like_takes_the_encoders_latents_of_files_and_data(plan, model):
    planned = plan(like=["a.png", "digits#1-2"], ratio=0.5)
    images = np.stack([pixels_of_file(), *digits(1, 2)])
    latents = np.repeat(model.latents(images), 2, axis=0)
    check_same(planned.guidance(2), Conditional(latents, ratio=0.5))
    np.testing.assert_allclose(planned.before, images, rtol=1e-6)
    assert planned.captions == ["like"] * 3


def test_compositions_are_of_classes_and_images(plan, model):
    text = "2 * class(3) + ~like('a.png') + like('digits#1')"
    planned = plan(energy=text, ratio=0.5)
    latents = model.latents(np.stack([pixels_of_file(), *digits(1)]))
    a, b = (Conditional(z, ratio=0.5) for z in latents)
    expected = 2.0 * Conditional(DIRECTIONS[1], ratio=0.5) + ~a + b
    check_same(planned.guidance(4), expected)
    assert planned.captions == [text]


def test_interpolation_goes_along_the_great_circle(plan, model):
    planned = plan(interpolate=["digits#0", "digits#1"])
    latents = planned.guidance(5).latents
    ends = model.latents(digits(0, 1))
    np.testing.assert_allclose(latents[[0, -1]], ends, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(latents, axis=1), 1, rtol=1e-5)
    cosines = np.sum(latents[1:] * latents[:-1], axis=1)
    step = np.arccos(ends[0] @ ends[1]) / 4
    np.testing.assert_allclose(np.arccos(cosines), step, rtol=1e-2)
    np.testing.assert_allclose(planned.before, digits(0), rtol=1e-6)
    np.testing.assert_allclose(planned.after, digits(1), rtol=1e-6)


def test_from_an_image_to_itself_nothing_changes(plan, model):
    planned = plan(interpolate=["digits#0", "digits#0"])
    expected = np.repeat(model.latents(digits(0)), 3, axis=0)
    np.testing.assert_allclose(planned.guidance(3).latents, expected, atol=1e-5)


def test_inpainting_shows_what_is_given(plan):
    planned = plan(inpaint=["a.png", "digits#1"], mask="right")
    images = np.stack([pixels_of_file(), *digits(1)])
    mask = np.zeros((8, 8, 1))
    mask[:, 4:] = 1
    expected = Inpaint(np.repeat(images, 3, axis=0), mask)
    check_same(planned.guidance(3), expected)
    shown = np.where(mask, 0.5, images)
    np.testing.assert_allclose(planned.before, shown, rtol=1e-6)
    assert planned.with_mean and len(planned.captions) == 2


def test_denoising_has_the_noise_of_sigma(plan):
    planned = plan(denoise=["a.png"], sigma=0.2)
    observed = np.repeat(pixels_of_file()[np.newaxis], 2, axis=0)
    assert planned.guidance(2) == DataFidelity(observed, None, 0.2)
    assert planned.with_mean


def test_super_resolution_is_from_means_over_squares(plan):
    planned = plan(super_resolution=["digits#0-1"], factor=4)
    means = digits(0, 1).reshape(2, 2, 4, 2, 4, 1).mean(axis=(2, 4))
    received = planned.guidance(1)
    np.testing.assert_allclose(received.observed, means, rtol=1e-5)
    assert received.operator == AveragePool(4) and received.sigma == 0.1
    shown = means.repeat(4, axis=1).repeat(4, axis=2)
    np.testing.assert_allclose(planned.before, shown, rtol=1e-5)


def test_unknown_scales_leave_the_weight_of_training(workdir):
    model = build()
    flags = Steering(class_id=["0"])
    received = steering.plan(flags, model, workdir).guidance(1)
    assert received == Conditional(DIRECTIONS[:1], beta=model.beta)
    with pytest.raises(ValueError, match="no --ratio for a model"):
        flags = Steering(class_id=["0"], ratio=0.5)
        steering.plan(flags, model, workdir)


@pytest.mark.parametrize(
    "flags, error, told",
    [
        ({"class_id": ["1"]}, ValueError, "class out of 0, 3; received: 1"),
        ({"class_id": ["0", "all"]}, ValueError, "received: all"),
        ({"class_id": [""]}, ValueError, "out of 0, 3"),
        ({"class_id": []}, ValueError, "--class_id; received none"),
        ({"like": []}, ValueError, "received none"),
        ({"like": ["no.png"]}, FileNotFoundError, "no.png"),
        ({"energy": ""}, ValueError, "a composition such as"),
        ({"energy": "class(1)"}, ValueError, "class out of 0, 3"),
        ({"energy": "like('no.png')"}, FileNotFoundError, "no.png"),
        ({"energy": "like(3)"}, FileNotFoundError, "no file 3"),
        (
            {"energy": "like('digits#0-1')"},
            ValueError,
            "one image; received: 2",
        ),
        ({"interpolate": ["a.png"]}, ValueError, "two images.*received: 1"),
        ({"interpolate": ["digits#0-2"]}, ValueError, "two images.*: 3"),
        ({"inpaint": ["a.png"]}, ValueError, "--mask with --inpaint"),
        ({"inpaint": ["a.png"], "mask": "half"}, ValueError, "left, right"),
        ({"inpaint": [], "mask": "left"}, ValueError, "received none"),
        ({"super_resolution": ["a.png"], "factor": 3}, ValueError, "3 divides"),
        ({"mask": "left"}, ValueError, "--mask with --inpaint only"),
        ({"ratio": 0.5}, ValueError, "--ratio with --class_id or --like"),
        (
            {"ratio": 0.5, "denoise": ["a.png"]},
            ValueError,
            "--ratio with --class_id",
        ),
        (
            {"class_data": "digits", "like": ["a.png"]},
            ValueError,
            "--class_data with --class_id or --energy only",
        ),
        (
            {"class_id": ["0"], "like": ["a.png"]},
            ValueError,
            "one of --class_id and --like; .* composed by --energy",
        ),
        (
            {"class_id": ["0"], "class_data": "npz:unlabelled.npz"},
            ValueError,
            "Expected labelled images",
        ),
    ],
)
def test_what_does_not_fit_is_told(plan, flags, error, told):
    np.savez("unlabelled.npz", x=np.zeros((4, 8, 8, 1), "uint8"))
    with pytest.raises(error, match=told):
        plan(**flags)


def test_a_run_without_class_directions_is_told(plan, tmp_path):
    (tmp_path / "class_directions.npz").unlink()
    for flags in ({"class_id": ["0"]}, {"energy": "class(0)"}):
        with pytest.raises(ValueError, match="class directions.*--class_data"):
            plan(**flags)
