import functools
import re
import sys

import numpy as np
import pytest
import pytorch_networks as pytorch
from comparison import channels_last
from comparison import images
from comparison import torch

from clel_tf.models import CLEL
from clel_tf.models.reference_checkpoint import load_reference_checkpoint
from clel_tf.samplers import SGLD


@pytest.fixture(scope="module")
def reference():
    torch.manual_seed(0)
    return pytorch.tiny_reference()


@pytest.fixture
def state(reference):
    return dict(reference.state_dict())


@pytest.fixture
def load(tmp_path):
    # Loads a state dict as a checkpoint of its own.

    def load(state, **options):
        torch.save({"model": state}, tmp_path / "last.ckpt")
        return load_reference_checkpoint(tmp_path / "last.ckpt", **options)

    return load


# === What is loaded ===


def test_sizes_and_settings_are_the_checkpoints_and_the_papers(state, load):
    model = load(state)
    network, encoder = model.energy_network, model.encoder
    assert model.image_shape == (32, 32, 3)
    assert network.config["widths"] == [4, 6]
    assert network.config["depths"] == [1, 1]
    assert encoder.config["depths"] == [1, 2]
    np.testing.assert_allclose(network.config["mean"], pytorch.MEAN, rtol=1e-6)
    np.testing.assert_allclose(encoder.config["std"], pytorch.STD, rtol=1e-6)
    assert (model.alpha, model.beta) == (1.0, 0.01)
    assert model.teacher.temperature == 0.2
    assert (model.encoder_l2, model.ema_start) == (5e-4, 312)
    assert model.ema_decay == 0.5 ** (64 / 20_000)
    assert model.sampler.get_config() == SGLD().get_config()


def test_the_replay_buffer_holds_the_memorys_bytes(state, load):
    memory = state["sampler.memory"]
    memory[0, 0, 0, :4] = torch.tensor([0.0, 1.0, 0.5, 255.99 / 256])
    buffer = load(state).replay_buffer
    expected = np.minimum(np.floor(256.0 * channels_last(memory)), 255.0)
    assert buffer.capacity == len(memory)
    np.testing.assert_array_equal(256.0 * buffer.images - 0.5, expected)
    assert np.all(buffer.ages > 0)


def test_a_loaded_model_is_used_as_any_other(state, load, tmp_path):
    model, x = load(state), images(8)
    assert model.sample(2, num_steps=1).shape == (2, 32, 32, 3)
    model.save_to_preset(tmp_path / "preset", samples=0)
    preset = CLEL.from_preset(tmp_path / "preset")
    np.testing.assert_array_equal(preset.score(x), model.score(x))


def test_training_goes_on_from_the_loaded_averages(state, load):
    model = load(state)
    live, average = (
        network.get_layer("features").kernel
        for network in (model.energy_network, model.ema_energy_network)
    )
    before = average.numpy()
    model.sampler.num_steps = 1
    model.compile(total_steps=1, run_eagerly=True)
    model.fit(images(8), batch_size=8, verbose=0)
    assert int(model.skipped_steps) == 0
    moved = model.ema_decay * before + (1 - model.ema_decay) * live.numpy()
    np.testing.assert_allclose(average, moved, rtol=1e-5, atol=1e-6)
    assert np.max(np.abs(live - before)) > 0.1


def test_other_entries_are_ignored(state, load):
    plain = load(state).get_weights()
    state["ebm_augmentation.scale"] = torch.ones(2)
    state["encoder_augmentation.0.p"] = torch.ones(2)
    for a, b in zip(plain, load(state).get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


# === The images' shape ===


def state_of_imagenet_stem(**options):
    return pytorch.Reference(
        pytorch.tiny_energy_network,
        lambda: pytorch.Encoder((4,), (1,), stem_size=7, hidden=16, dim=8),
        **options,
    ).state_dict()


def test_the_images_shape_is_the_memorys(load):
    state = state_of_imagenet_stem(memory_shape=(2, 3, 40, 48))
    assert load(state).image_shape == (40, 48, 3)


def test_without_memory_it_is_the_given_or_the_3x3_stems(state, load):
    del state["sampler.memory"]
    model = load(state)
    assert model.image_shape == (32, 32, 3)
    assert model.replay_buffer.capacity == 10_000
    assert load(state, image_shape=[8, 8, 3]).image_shape == (8, 8, 3)


def test_a_7x7_stem_alone_does_not_tell_the_images_shape(load):
    state = state_of_imagenet_stem(memory_shape=None)
    with pytest.raises(ValueError, match="Expected `image_shape`"):
        load(state)
    assert load(state, image_shape=(8, 8, 3)).image_shape == (8, 8, 3)


@pytest.mark.parametrize("shape", [(64, 64, 3), (32, 32, 1), (32, 32)])
def test_refuses_another_shape_than_the_memorys(state, load, shape):
    message = r"`image_shape` \(32, 32, 3\).*; received: "
    with pytest.raises(ValueError, match=message + re.escape(str(shape))):
        load(state, image_shape=shape)


def test_refuses_images_of_other_than_three_channels(state, load):
    del state["sampler.memory"]
    with pytest.raises(ValueError, match=r"\(height, width, 3\).*received"):
        load(state, image_shape=(32, 32, 1))


# === What is refused ===

CONV = "ebm.stages.1.1.conv1"


@pytest.mark.parametrize(
    "key",
    [
        "ebm.stem.0.mean",
        "ebm.stem.1.parametrizations.weight.0._u",
        f"{CONV}.parametrizations.weight.original",
        "ema_ebm.projection.2.weight",
        "encoder.conv1.1.weight",
        "ema_encoder.layer2.1.bn2.running_var",
        "ema_encoder.fc.3.bias",
    ],
)
def test_refuses_a_missing_or_misshapen_entry(state, load, key):
    value = state.pop(key)
    with pytest.raises(ValueError, match=f"missing: {re.escape(key)}"):
        load(state)
    state[key] = value.flatten()[:-1]
    message = rf"misshapen: {re.escape(key)} \({value.numel() - 1},\)"
    with pytest.raises(ValueError, match=message):
        load(state)


def test_refuses_unknown_entries(state, load):
    state["ebm.stages.0.0.conv3.bias"] = torch.ones(4)
    state["encoder.layer1.0.downsample.0.weight"] = torch.ones(4, 4, 1, 1)
    message = "unknown: ebm.stages.0.0.conv3.bias, encoder.layer1.0.downsample"
    with pytest.raises(ValueError, match=message):
        load(state)


def test_refuses_a_live_network_without_its_average(state, load):
    kept = {k: v for k, v in state.items() if not k.startswith("ema_ebm.")}
    missing = len(state) - len(kept)
    with pytest.raises(ValueError, match=f"and {missing - 4} more"):
        load(kept)


def test_refuses_normalizations_that_differ(state, load):
    state["ema_encoder.conv1.0.std"] = torch.ones(3)
    with pytest.raises(ValueError, match="unequal: ema_encoder.conv1.0.std"):
        load(state)


def test_refuses_bottlenecks_of_another_depth(load):
    encoder = functools.partial(
        pytorch.Encoder, (4,), (2,), bottleneck=True, hidden=16, dim=8
    )
    state = pytorch.Reference(pytorch.tiny_energy_network, encoder)
    with pytest.raises(ValueError, match=r"bottleneck.*received: \(2,\)"):
        load(state.state_dict())


class Opened:
    ran = False

    def __reduce__(self):
        return setattr, (Opened, "ran", True)


@pytest.mark.parametrize("place", ["engine", "model"])
def test_refuses_objects_without_running_them(state, tmp_path, place):
    checkpoint = {"model": state, place: Opened()}
    torch.save(checkpoint, tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match="Expected a checkpoint.*Unpickling"):
        load_reference_checkpoint(tmp_path / "last.ckpt")
    assert not Opened.ran
    torch.load(tmp_path / "last.ckpt", weights_only=False)
    assert Opened.ran
    Opened.ran = False


@pytest.mark.parametrize(
    "content", [{}, [1, 2], {"model": 1}, {"model": {1: 2}}, {"model": {}}]
)
def test_refuses_what_is_no_checkpoint(content, tmp_path):
    torch.save(content, tmp_path / "last.ckpt")
    with pytest.raises(
        ValueError, match="Expected a checkpoint|received: none"
    ):
        load_reference_checkpoint(tmp_path / "last.ckpt")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"a picture"])
def test_refuses_files_of_other_kinds(content, tmp_path):
    (tmp_path / "last.ckpt").write_bytes(content)
    with pytest.raises(ValueError, match="Expected a checkpoint.*last.ckpt"):
        load_reference_checkpoint(tmp_path / "last.ckpt")


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="no.ckpt"):
        load_reference_checkpoint(tmp_path / "no.ckpt")


def test_without_pytorch_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"pip install 'clel_tf\[torch\]'"):
        load_reference_checkpoint("last.ckpt")


def test_weights_that_are_not_finite_are_named(state, load):
    state["ebm.head.0.weight"] = torch.full_like(
        state["ebm.head.0.weight"], torch.nan
    )
    with pytest.raises(ValueError, match=r"not finite: ebm\.head\.0\.weight"):
        load(state)


@pytest.mark.parametrize("value", [128.0, torch.nan])
def test_a_memory_outside_of_the_pixels_range_is_refused(state, load, value):
    state["sampler.memory"] = torch.full_like(state["sampler.memory"], value)
    with pytest.raises(ValueError, match=r"memory in \[0, 1\]; received"):
        load(state)


def test_a_wrapped_models_prefixes_are_named(state, load):
    wrapped = {f"module.{name}": value for name, value in state.items()}
    with pytest.raises(ValueError, match="ebm, ema_ebm.*received: module"):
        load(wrapped)


def test_an_image_shape_has_three_numbers(state, load):
    with pytest.raises(ValueError, match=r"\(height, width, channels\).*32"):
        load(state, image_shape=32)
