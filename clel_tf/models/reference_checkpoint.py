"""Reads the PyTorch checkpoints of CLEL's public reference."""

import numpy as np

from clel_tf.data.dequantize import to_bytes
from clel_tf.layers.spectral_conv2d import SpectralConv2D
from clel_tf.models import reference_layout as layout
from clel_tf.models.clel import CLEL
from clel_tf.models.common import refresh_spectral
from clel_tf.models.energy_resnet import EnergyResNet
from clel_tf.models.resnet_encoder import ResNetEncoder
from clel_tf.samplers.replay_buffer import ReplayBuffer

# Their networks, and ours.
_NETWORKS = {
    "ebm": "energy_network",
    "ema_ebm": "ema_energy_network",
    "encoder": "encoder",
    "ema_encoder": "ema_encoder",
}
# What our variables are called there, after the layer's prefix; in convolutions
# with spectral normalisation it is `layout.SPECTRAL_KEYS`.
_KEYS = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
# By rank, where in their tensor the axes of our variable are.
_AXES = {1: (0,), 2: (1, 0), 4: (2, 3, 1, 0)}
_MEMORY = "sampler.memory"


def load_reference_checkpoint(path, image_shape=None):
    """Builds a model from a PyTorch checkpoint of the public reference.

    The file is `torch.save`'s of a dict whose "model" is the state dict of the
    reference's `JointModel`; all else in it is ignored. The networks' sizes
    and normalisation are read off its tensors, the live and the averaged
    weights and the replay buffer are taken over, and the other settings are the
    paper's. The optimizers' state is not: who trains on gives `compile`
    optimizers with the rates that the run had reached. Nothing in the file is
    executed. Needs PyTorch:
    `pip install 'clel_tf[torch]'`.

    Args:
        path: str or path of the file, such as `last.ckpt`.
        image_shape: tuple of ints `(height, width, channels)`, or None for that
            of the images in the replay buffer. Without these it is (32, 32, 3)
            if the encoder's stem is 3x3, and has to be given otherwise.

    Returns:
        `CLEL`, not compiled.

    Raises:
        ImportError: if PyTorch is not installed.
        ValueError: if the file is no such checkpoint, or entries of its
            networks are missing, misshapen or unknown.

    Example:

        model = clel_tf.models.load_reference_checkpoint("logs/last.ckpt")
        images = model.sample(16)
        model.save_to_preset("cifar10")

    Reference:
        [hankook/CLEL](https://github.com/hankook/CLEL), which trains such
        checkpoints.
    """
    state = _read(path)
    _check_prefixes(state)
    state = {key: value for key, value in state.items() if _is_read(key)}
    memory = _memory(state)
    stem_size = layout.size_of(state, "encoder.conv1.1.weight", 4, axis=3)
    image_shape = _image_shape(memory, stem_size, image_shape)
    buffer = ReplayBuffer() if memory is None else ReplayBuffer(len(memory))
    model = CLEL(
        EnergyResNet(image_shape, **layout.energy_options(state)),
        ResNetEncoder(
            image_shape, stem_size=stem_size, **layout.encoder_options(state)
        ),
        replay_buffer=buffer,
        ema_decay=0.5 ** (64 / 20_000),  # half a life of 20,000 images
        ema_start=312,
    )
    # From here on it averages: a copy would overwrite the averages loaded.
    model.step.assign(model.ema_start)
    _load_networks(state, model)
    if memory is not None:
        # No age is stored, but all have long been moved.
        ages = np.full(len(memory), model.sampler.num_steps, "int32")
        buffer.load_own_variables({"images": to_bytes(memory), "ages": ages})
    return model


# === The file ===


def _read(path):
    """The state dict as NumPy arrays; nothing in the file is executed."""
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            "Expected PyTorch, to read its checkpoints: pip install "
            "'clel_tf[torch]'."
        ) from error
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)["model"]
        return {
            str(key): value.float().numpy()
            for key, value in state.items()
            if torch.is_tensor(value)
        }
    except OSError:
        raise
    # A file of another kind can fail in any way.
    except Exception as error:
        raise ValueError(
            'Expected a checkpoint that holds tensors only, in a dict "model"; '
            f"received: {path} ({_first_line(error)})."
        ) from error


def _check_prefixes(state):
    received = {key.split(".")[0] for key in state}
    if received.isdisjoint(_NETWORKS):
        raise ValueError(
            f"Expected entries of the networks {', '.join(_NETWORKS)}; "
            f"received: {', '.join(sorted(received)) or 'none'}."
        )


def _is_read(key):
    return key == _MEMORY or key.split(".")[0] in _NETWORKS


def _first_line(error):
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _memory(state):
    """The replay buffer's images, `(n, height, width, channels)`, or None."""
    if _MEMORY not in state:
        return None
    memory = state[_MEMORY]
    if memory.ndim != 4 or 0 in memory.shape:
        raise layout.entries_error(misshapen=[layout.described(state, _MEMORY)])
    if not (memory.min() >= 0 and memory.max() <= 1):
        raise ValueError(
            f"Expected {_MEMORY} in [0, 1]; received values in "
            f"[{memory.min()}, {memory.max()}]."
        )
    return memory.transpose(0, 2, 3, 1)


# === Weights ===


def _load_networks(state, model):
    """Checks all entries of the networks, then takes them over."""
    weights, constants = _weights(state, model), _normalization(state)
    known = {_MEMORY, *weights, *constants}
    _check(
        missing=[k for k in (*weights, *constants) if k not in state],
        unknown=[
            k
            for k in state
            if k not in known and not k.endswith(".num_batches_tracked")
        ],
        misshapen=[
            layout.described(state, k)
            for k, (_, variable) in weights.items()
            if k in state and not _fits(state[k], variable)
        ],
        not_finite=[k for k, v in state.items() if not np.isfinite(v).all()],
        # One of ours normalises all towers, and the average's too.
        unequal=[
            k
            for k, value in constants.items()
            if k in state and not np.array_equal(state[k], value)
        ],
    )
    for key, (layer, variable) in weights.items():
        variable.assign(_to_ours(state[key], layer, variable))
    refresh_spectral(model.energy_network)
    refresh_spectral(model.ema_energy_network)


def _fits(value, variable):
    axes = _AXES[len(variable.shape)]
    shape = tuple(value.shape[i] for i in axes if i < value.ndim)
    return value.ndim == len(axes) and shape == variable.shape


def _to_ours(value, layer, variable):
    if variable.name == "v":  # rows of the kernel, with its channels first
        height, width, channels, _ = layer.kernel.shape
        value = value.reshape(channels, height, width)
        return value.transpose(1, 2, 0).ravel()
    return value.transpose(_AXES[value.ndim])


def _check(**problems):
    if any(problems.values()):
        raise layout.entries_error(**problems)


def _weights(state, model):
    """Their keys, each with our layer and its variable."""
    weights = {}
    for theirs, ours in _NETWORKS.items():
        names = (
            layout.energy_layers
            if theirs.endswith("ebm")
            else layout.encoder_layers
        )
        prefixes = dict(names(state))
        for layer in getattr(model, ours).layers:
            spectral = isinstance(layer, SpectralConv2D)
            keys = layout.SPECTRAL_KEYS if spectral else _KEYS
            for variable in layer.variables:
                if variable.name in keys:
                    prefix = f"{theirs}.{prefixes[layer.name]}"
                    key = f"{prefix}.{keys[variable.name]}"
                    weights[key] = layer, variable
    return weights


def _normalization(state):
    """Their keys of means and deviations, with the value each has to have."""
    stems = [f"stem{number}.0" for number in layout.towers(state)]
    values = {}
    for network in _NETWORKS:
        prefixes = stems if network.endswith("ebm") else ["conv1.0"]
        first = f"{network.removeprefix('ema_')}.{prefixes[0]}"
        for name in ("mean", "std"):
            for prefix in prefixes:
                values[f"{network}.{prefix}.{name}"] = state[f"{first}.{name}"]
    return values


def _image_shape(memory, stem_size, given):
    if memory is not None:
        own = memory.shape[1:]
    else:
        own = (32, 32, 3) if stem_size == 3 else None
    if isinstance(given, int):
        raise ValueError(
            "Expected `image_shape` to be (height, width, channels); received: "
            f"{given!r}."
        )
    shape = own if given is None else tuple(given)
    if shape is None:
        raise ValueError(
            "Expected `image_shape`, which neither images in the checkpoint "
            "nor a 3x3 stem of its encoder tell; received: None."
        )
    if memory is not None and shape != own:
        raise ValueError(
            f"Expected `image_shape` {own}, that of the checkpoint's images; "
            f"received: {shape}."
        )
    if shape[2:] != (3,):
        raise ValueError(
            "Expected `image_shape` (height, width, 3), of images as the "
            f"reference has; received: {shape}."
        )
    return shape
