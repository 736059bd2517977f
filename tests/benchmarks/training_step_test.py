import numpy as np
import pytest
import tensorflow as tf
import training_step

from clel_tf import presets

BATCH = 4


@pytest.fixture(scope="module")
def model():
    config = presets.get("digits")
    small = {"widths": [4, 6], "depths": [1, 1], "head_width": 8}
    for part in ("energy_network", "encoder"):
        config[part].update(small, latent_dim=4)
    config["replay_buffer"]["capacity"] = BATCH
    model = presets.build(config)
    model.compile()
    return model


def graph_of(function):
    return tf.function(function, autograph=False).get_concrete_function().graph


def kinds(graph):
    nested = graph.as_graph_def().library.function
    found = {op.type for op in graph.get_operations()}
    return found | {node.op for f in nested for node in f.node_def}


def test_the_chain_alone_draws_nothing(model):
    images = tf.zeros((BATCH, 8, 8, 1))
    keys = model._step_keys()
    found = kinds(graph_of(lambda: training_step._chain(model, images, keys)))
    assert found & {"While", "StatelessWhile"}
    assert found >= {"Conv2D", "Conv2DBackpropInput"}
    assert "TopKV2" not in found  # of the buffer's draw


def test_all_else_moves_no_chain_and_needs_no_network(model):
    pixels = np.zeros((BATCH, 8, 8, 1), np.uint8)
    found = kinds(graph_of(training_step._all_else(model, pixels)))
    assert "TopKV2" in found
    networks = {"Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter"}
    assert not found & (networks | {"While", "StatelessWhile"})


def test_all_else_is_a_step_but_for_that(model):
    networks = (model.energy_network, model.encoder)
    networks += (model.ema_energy_network, model.ema_encoder)
    kernels = [network.weights[0] for network in networks]
    before = [kernel.numpy() for kernel in kernels]
    ages = model.replay_buffer.ages
    pixels = np.zeros((BATCH, 8, 8, 1), np.uint8)
    training_step._all_else(model, pixels)()
    assert int(model.step.numpy()) == int(model.optimizer.iterations) == 1
    assert int(model.skipped_steps.numpy()) == 0
    assert np.any(model.replay_buffer.ages != ages)
    for kernel, old in zip(kernels, before):
        assert np.any(kernel.numpy() != old)


def test_shares_are_of_the_step_and_the_difference_is_what_is_left():
    names = [training_step.STEP, training_step.CHAIN, *training_step.LOSSES]
    seconds = dict(zip(names, np.array([[10, 20], [6, 14], [1, 1], [1, 1.0]])))
    seconds[training_step.OTHER] = np.array([3.0, 3.0])
    rows = training_step._rows("digits", BATCH, seconds)
    medians = {r["phase"]: r["seconds"]["median"] for r in rows}
    shares = {r["phase"]: r["share"]["median"] for r in rows}
    assert medians[training_step.DIFFERENCE] == 3  # of 2 and 4
    assert shares[training_step.CHAIN] == pytest.approx(0.65)
    assert shares[training_step.DIFFERENCE] == pytest.approx(0.2)
