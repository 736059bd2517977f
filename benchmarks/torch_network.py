"""The reference's energy network in PyTorch, with the weights of ours.

It is that of the parity tests, tests/conformance. Needs PyTorch.
"""

import pathlib
import sys

import numpy as np
import torch
from torch.nn.utils import parametrize

from clel_tf.models import reference_layout

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests" / "conformance"))

import pytorch_networks as pytorch  # noqa: E402


def copy(ours):
    """A PyTorch network with the weights and singular vectors of ours.

    Args:
        ours: `EnergyResNet` of one tower, as deep in all stages.

    Returns:
        `torch.nn.Module` in training mode, as the reference samples: each
        forward pass iterates spectral normalisation.
    """
    theirs = _untrained(ours.config)
    _copy_weights(ours, theirs)
    return theirs.train()


def fold(network):
    """Divides kernels by their spectral norms once, in place, for good."""
    for module in network.modules():
        if parametrize.is_parametrized(module):
            parametrize.remove_parametrizations(module, "weight")
    network.requires_grad_(False)


def cast(network):
    """Casts the weights that autocast would cast, in place, for good."""
    for module in network.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            module.to(torch.bfloat16)


def _untrained(config):
    """The conformance tests' network, for other images than CIFAR-10's too."""
    (depth,), (dim,) = (
        set(config["depths"]),
        {config["feature_dim"], config["latent_dim"]},
    )
    theirs = pytorch.EnergyNetwork(
        config["widths"], depth, hidden=config["head_width"], dim=dim
    )
    channels = config["image_shape"][-1]
    normalize = theirs.stem[0]
    for name in ("mean", "std"):
        value = np.broadcast_to(config[name], channels).astype("float32")
        setattr(normalize, name, torch.tensor(value))
    stem = pytorch.spectral_conv(channels, config["widths"][0])
    theirs.stem = torch.nn.Sequential(normalize, stem)
    return theirs


def _copy_weights(ours, theirs):
    state = theirs.state_dict()
    # The layout reads names as a checkpoint's.
    prefixes = dict(
        reference_layout.energy_layers({f"ebm.{key}": None for key in state})
    )
    for layer in ours.layers:
        for variable in layer.variables:
            key = _key(variable.name, prefixes[layer.name], state)
            if key:
                value = _to_theirs(variable.numpy(), variable.name, layer)
                state[key].copy_(torch.tensor(value))


def _key(name, prefix, state):
    spectral = f"{prefix}.{reference_layout.SPECTRAL_KEYS.get(name)}"
    plain = f"{prefix}.{'weight' if name == 'kernel' else name}"
    return next((key for key in (spectral, plain) if key in state), None)


def _to_theirs(value, name, layer):
    if name == "v":  # rows of the kernel, with its channels first there
        value = value.reshape(layer.kernel.shape[:3])
        return value.transpose(2, 0, 1).ravel()
    axes = {1: (0,), 2: (1, 0), 4: (3, 2, 0, 1)}[value.ndim]
    return np.ascontiguousarray(value.transpose(axes))
