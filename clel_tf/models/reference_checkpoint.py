"""Reads the PyTorch checkpoints of CLEL's public reference."""

import collections
import re

import numpy as np

from clel_tf.data.dequantize import to_bytes
from clel_tf.layers.spectral_conv2d import SpectralConv2D
from clel_tf.models.clel import CLEL
from clel_tf.models.common import refresh_spectral
from clel_tf.models.energy_resnet import EnergyResNet
from clel_tf.models.resnet_encoder import DEPTHS
from clel_tf.models.resnet_encoder import FIRST_BOTTLENECK
from clel_tf.models.resnet_encoder import ResNetEncoder
from clel_tf.samplers.replay_buffer import ReplayBuffer

# Their networks, and ours.
_NETWORKS = {
    "ebm": "energy_network",
    "ema_ebm": "ema_energy_network",
    "encoder": "encoder",
    "ema_encoder": "ema_encoder",
}
# What our variables are called there, after the layer's prefix ...
_KEYS = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
# ... and in a convolution with spectral normalisation.
_SPECTRAL_KEYS = {
    "kernel": "parametrizations.weight.original",
    "bias": "bias",
    "u": "parametrizations.weight.0._u",
    "v": "parametrizations.weight.0._v",
}
# By rank, where in their tensor the axes of our variable are.
_AXES = {1: (0,), 2: (1, 0), 4: (2, 3, 1, 0)}
_MEMORY = "sampler.memory"
_LISTED = 4  # keys that an error names of each kind


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
    stem_size = _size(state, "encoder.conv1.1.weight", 4, axis=3)
    image_shape = _image_shape(memory, stem_size, image_shape)
    buffer = ReplayBuffer() if memory is None else ReplayBuffer(len(memory))
    model = CLEL(
        EnergyResNet(image_shape, **_energy_options(state)),
        ResNetEncoder(
            image_shape, stem_size=stem_size, **_encoder_options(state)
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
        raise _error(misshapen=[_described(state, _MEMORY)])
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
            _described(state, k)
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
        raise _error(**problems)


def _error(**problems):
    """A `ValueError` of lists of keys, by what is wrong with them."""
    parts = [
        f"{what.replace('_', ' ')}: {_few(keys)}"
        for what, keys in problems.items()
        if keys
    ]
    return ValueError(
        "Expected the entries of the reference's four networks; received "
        f"entries that are {'; '.join(parts)}."
    )


def _few(keys):
    more = len(keys) - _LISTED
    rest = f" and {more} more" if more > 0 else ""
    return ", ".join(sorted(keys)[:_LISTED]) + rest


def _described(state, key):
    return f"{key} {state[key].shape}"


# === Names ===


def _energy_layers(state):
    """Pairs of our layers' names and their prefixes, without `ebm.`.

    Shortcuts are not in every block; the names of all are here.
    """
    towers, depths = _towers(state), _energy_depths(state)
    for tower, number in enumerate(towers, 1):
        yield f"tower{tower}_stem", f"stem{number}.1"
        for stage, depth in enumerate(depths):
            for block in range(depth):
                ours = f"tower{tower}_stage{stage + 1}_block{block + 1}"
                # Every stage but the first begins with a pooling.
                theirs = f"stages{number}.{stage}.{block + bool(stage)}"
                for part in ("conv1", "conv2", "shortcut"):
                    yield f"{ours}_{part}", f"{theirs}.{part}"
    yield "features_hidden", "head.0"
    yield "features", "head.2"
    yield "latent_hidden", "projection.0"
    yield "latent", "projection.2"


def _encoder_layers(state):
    """As `_energy_layers`; third convolutions are not in every block."""
    yield "stem_conv", "conv1.1"
    yield "stem_norm", "bn1"
    for stage, depth in enumerate(_encoder_depths(state), 1):
        for block in range(depth):
            ours = f"stage{stage}_block{block + 1}"
            theirs = f"layer{stage}.{block}"
            for index in (1, 2, 3):
                yield f"{ours}_conv{index}", f"{theirs}.conv{index}"
                yield f"{ours}_norm{index}", f"{theirs}.bn{index}"
            yield f"{ours}_shortcut_conv", f"{theirs}.downsample.0"
            yield f"{ours}_shortcut_norm", f"{theirs}.downsample.1"
    yield "hidden", "fc.0"
    yield "hidden_norm", "fc.1"
    yield "embedding", "fc.3"


def _weights(state, model):
    """Their keys, each with our layer and its variable."""
    weights = {}
    for theirs, ours in _NETWORKS.items():
        names = _energy_layers if theirs.endswith("ebm") else _encoder_layers
        prefixes = dict(names(state))
        for layer in getattr(model, ours).layers:
            spectral = isinstance(layer, SpectralConv2D)
            keys = _SPECTRAL_KEYS if spectral else _KEYS
            for variable in layer.variables:
                if variable.name in keys:
                    prefix = f"{theirs}.{prefixes[layer.name]}"
                    key = f"{prefix}.{keys[variable.name]}"
                    weights[key] = layer, variable
    return weights


def _normalization(state):
    """Their keys of means and deviations, with the value each has to have."""
    stems = [f"stem{number}.0" for number in _towers(state)]
    values = {}
    for network in _NETWORKS:
        prefixes = stems if network.endswith("ebm") else ["conv1.0"]
        first = f"{network.removeprefix('ema_')}.{prefixes[0]}"
        for name in ("mean", "std"):
            for prefix in prefixes:
                values[f"{network}.{prefix}.{name}"] = state[f"{first}.{name}"]
    return values


# === Sizes ===


def _towers(state):
    """What follows "stem" in their names: nothing, or each tower's number."""
    found = {m[1] for k in state if (m := re.match(r"ebm\.stem(\d*)\.", k))}
    return range(1, len(found) + 1) if len(found) > 1 else [""]


def _energy_depths(state):
    return _depths(state, rf"ebm\.stages{_towers(state)[0]}\.(\d+)\.(\d+)\.")


def _encoder_depths(state):
    return _depths(state, r"encoder\.layer(\d+)\.(\d+)\.")


def _depths(state, pattern):
    """The number of blocks in each stage."""
    blocks = {m.groups() for k in state if (m := re.match(pattern, k))}
    counts = collections.Counter(int(stage) for stage, _ in blocks)
    if not counts:
        raise _error(missing=[pattern.replace(r"(\d+)", "*").replace("\\", "")])
    return tuple(counts[stage] for stage in sorted(counts))


def _energy_options(state):
    number, depths = _towers(state)[0], _energy_depths(state)
    blocks = (
        f"ebm.stages{number}.{stage}.{int(stage > 0)}"
        for stage in range(len(depths))
    )
    conv1 = f"conv1.{_SPECTRAL_KEYS['kernel']}"
    return {
        "widths": tuple(
            _size(state, f"{block}.{conv1}", 4) for block in blocks
        ),
        "depths": depths,
        "towers": len(_towers(state)),
        "head_width": _size(state, "ebm.head.0.weight", 2),
        "feature_dim": _size(state, "ebm.head.2.weight", 2),
        "latent_dim": _size(state, "ebm.projection.2.weight", 2),
        "mean": _channels(state, f"ebm.stem{number}.0.mean"),
        "std": _channels(state, f"ebm.stem{number}.0.std"),
    }


def _encoder_options(state):
    depths = _encoder_depths(state)
    stages = range(1, len(depths) + 1)
    return {
        "widths": tuple(
            _size(state, f"encoder.layer{stage}.0.conv1.weight", 4)
            for stage in stages
        ),
        "depths": _published(depths, "encoder.layer1.0.conv3.weight" in state),
        "head_width": _size(state, "encoder.fc.0.weight", 2),
        "latent_dim": _size(state, "encoder.fc.3.weight", 2),
        "mean": _channels(state, "encoder.conv1.0.mean"),
        "std": _channels(state, "encoder.conv1.0.std"),
    }


def _published(blocks, bottleneck):
    """The depth of a published network, or its blocks if they are basic."""
    known = {
        DEPTHS[depth]: depth
        for depth in DEPTHS
        if (depth >= FIRST_BOTTLENECK) == bottleneck
    }
    if bottleneck and blocks not in known:
        raise ValueError(
            "Expected an encoder of bottleneck blocks to have "
            f"{', '.join(map(str, known))} of them; received: {blocks}."
        )
    return known.get(blocks, blocks)


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


def _size(state, key, rank, axis=0):
    if key not in state:
        raise _error(missing=[key])
    if state[key].ndim != rank:
        raise _error(misshapen=[_described(state, key)])
    return state[key].shape[axis]


def _channels(state, key):
    if _size(state, key, 1) != 3:
        raise _error(misshapen=[_described(state, key)])
    return state[key].tolist()
