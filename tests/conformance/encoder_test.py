import copy
import functools

import numpy as np
import pytest
import pytorch_networks as pytorch
import tensorflow as tf
from comparison import channels_first
from comparison import clone
from comparison import images
from comparison import relative_error
from comparison import torch

from clel_tf.models.reference_checkpoint import load_reference_checkpoint

TOLERANCE = 1e-4
# The side of the images, and the encoder.
FULL = {
    "resnet18": (32, {}),
    "resnet18_imagenet_stem": (64, {"stem_size": 7}),
    "resnet50": (32, {"bottleneck": True, "depths": (3, 4, 6, 3)}),
}
# Few enough units, at half the side, that none is within rounding of a kink.
NARROW = {"widths": (6, 6, 8, 10), "hidden": 32}


def load_pair(folder, size, options):
    torch.manual_seed(0)
    reference = pytorch.Reference(
        functools.partial(pytorch.tiny_energy_network, dim=128),
        functools.partial(pytorch.Encoder, **options),
        memory_shape=(1, 3, size, size),
    )
    return reference, load(folder, reference)


def load(folder, reference):
    path = folder / "last.ckpt"
    model = load_reference_checkpoint(reference.save(path))
    path.unlink()
    return model


@pytest.fixture(scope="module", params=FULL)
def full(request, tmp_path_factory):
    return load_pair(tmp_path_factory.mktemp("full"), *FULL[request.param])


NAMES = [
    "resnet18",
    "resnet18_imagenet_stem",
    pytest.param("resnet50", marks=pytest.mark.slow),
]


@pytest.fixture(params=NAMES)
def narrow(request, tmp_path):
    size, options = FULL[request.param]
    return load_pair(tmp_path, size // 2, {**options, **NARROW})


@pytest.mark.parametrize("name", ["encoder", "ema_encoder"])
@pytest.mark.parametrize("training", [False, True])
def test_embeddings_agree(full, name, training):
    reference, model = full
    x = images(6, model.image_shape[0])
    ours = clone(getattr(model, name))
    theirs = copy.deepcopy(getattr(reference, name)).train(training)
    embeddings = ours(x, training=training)
    expected = theirs(channels_first(x))
    assert relative_error(embeddings, expected) <= TOLERANCE


def test_live_and_averaged_weights_differ(full):
    _, model = full
    x = images(2, model.image_shape[0])
    assert relative_error(model.encoder(x), model.ema_encoder(x)) > 0.01


def test_training_gradients_agree(narrow, tmp_path):
    reference, model = narrow
    x = images(6, model.image_shape[0])
    weights = np.random.default_rng(1).random((6, 128), "float32")
    with tf.GradientTape() as tape:
        embeddings = model.encoder(x, training=True)
        loss = tf.reduce_sum(tf.tanh(embeddings) * weights)
    gradients = tape.gradient(loss, model.encoder.trainable_variables)
    expected = reference.train().encoder(channels_first(x))
    (expected.tanh() * torch.tensor(weights)).sum().backward()
    parameters = load(tmp_path, reference.gradients()).encoder
    for gradient, parameter in zip(
        gradients, parameters.trainable_variables, strict=True
    ):
        assert relative_error(gradient, parameter) <= TOLERANCE


def test_running_statistics_agree_after_20_updates(narrow, tmp_path):
    reference, model = narrow
    before = model.encoder.get_weights()
    reference.train()
    for seed in range(20):
        x = images(3, model.image_shape[0], seed)
        model.encoder(x, training=True)
        with torch.no_grad():
            reference.encoder(channels_first(x))
    expected = load(tmp_path, reference).encoder.get_weights()
    moved = 0
    for old, new, value in zip(before, model.encoder.get_weights(), expected):
        assert relative_error(new, value) <= TOLERANCE
        moved += relative_error(old, value) > 0.01
    assert moved == len(model.encoder.non_trainable_variables)
