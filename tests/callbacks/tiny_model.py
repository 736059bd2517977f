"""A model whose training step takes milliseconds."""

import numpy as np

from clel_tf import presets


def build(**changes):
    config = presets.get("digits")
    small = {"widths": [8], "depths": [1], "head_width": 8, "dtype": "float32"}
    config["energy_network"].update(small, latent_dim=8)
    config["encoder"].update(small, latent_dim=8)
    config["sampler"].update(num_steps=2, sample_steps=2)
    config["replay_buffer"]["capacity"] = 32
    config["recipe"].update(steps=20, batch_size=8)
    for name, values in changes.items():
        config[name].update(values)
    model = presets.build(config)
    model.compile()
    return model


def assert_same(state, expected):
    assert state.keys() == expected.keys()
    for name, array in state.items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)
