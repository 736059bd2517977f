import numpy as np
import pytest
import tensorflow as tf
from reference_clel import ReferenceCLEL

from clel_tf import presets
from clel_tf.models import CLEL


@pytest.fixture
def models():
    config = presets.get("digits")
    small = {"widths": [4, 6], "depths": [1, 1], "head_width": 8}
    for part in ("energy_network", "encoder"):
        config[part].update(small, latent_dim=4)
    config["sampler"]["num_steps"] = 5
    config["replay_buffer"]["capacity"] = 16
    config["model"]["chain_augmentation_probability"] = 1.0
    model = presets.build(config)
    return model, ReferenceCLEL.from_config(model.get_config())


def first_layer(model):
    return model.energy_network.spectral_layers[0]


def test_the_librarys_chain_leaves_the_energy_and_the_references_moves_it(
    models,
):
    for model in models:
        layer = first_layer(model)
        # Off its singular vector, so that an iteration shows.
        layer.u.assign(np.eye(layer.filters)[0])
        before = layer.u.numpy()
        model.negatives(model._step_keys(), 4)
        moved = np.abs(layer.u.numpy() - before).max()
        assert (moved > 0.01) == (type(model) is not CLEL)


def test_the_references_chains_are_augmented_at_birth(models):
    for model in models:
        keys = model._step_keys()
        chains = model.replay_buffer.draw(keys.buffer, 4)
        chains = chains._replace(ages=tf.zeros(4, tf.int32))
        moved = model._transition(chains, keys, tf.range(4))
        changed = bool(tf.reduce_any(moved != chains.images))
        assert changed == (type(model) is not CLEL)


def test_the_references_average_has_the_live_singular_vectors(models):
    model = models[1]
    layer = first_layer(model)
    layer.u.assign(np.eye(layer.filters)[0])
    model.update_moving_averages()
    averaged = model.ema_energy_network.spectral_layers[0]
    np.testing.assert_array_equal(averaged.u, layer.u)


@pytest.mark.slow
def test_trains_a_step_and_samples_in_rounds(models):
    model = models[1]
    model.compile(run_eagerly=True)
    model.fit(np.full((4, 8, 8, 1), 8, np.uint8), batch_size=4, verbose=0)
    assert int(model.skipped_steps.numpy()) == 0
    images = model.sample_rounds(3, rounds=2)
    assert images.shape == (3, 8, 8, 1)
    assert 0 <= images.min() < images.max() <= 1
