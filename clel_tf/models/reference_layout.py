"""Names and sizes of the public reference's networks, by its state dicts."""

import collections
import re

from clel_tf.models.resnet_encoder import DEPTHS
from clel_tf.models.resnet_encoder import FIRST_BOTTLENECK

# What variables of ours are called in a convolution with spectral
# normalisation, after the layer's prefix.
SPECTRAL_KEYS = {
    "kernel": "parametrizations.weight.original",
    "bias": "bias",
    "u": "parametrizations.weight.0._u",
    "v": "parametrizations.weight.0._v",
}
_LISTED = 4  # keys that an error names of each kind


def energy_layers(state):
    """Pairs of our layers' names and their prefixes, without `ebm.`.

    Shortcuts are not in every block; the names of all are here.
    """
    depths = _energy_depths(state)
    for tower, number in enumerate(towers(state), 1):
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


def encoder_layers(state):
    """As `energy_layers`; third convolutions are not in every block."""
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


# === Sizes ===


def towers(state):
    """What follows "stem" in their names: nothing, or each tower's number."""
    found = {m[1] for k in state if (m := re.match(r"ebm\.stem(\d*)\.", k))}
    return range(1, len(found) + 1) if len(found) > 1 else [""]


def _energy_depths(state):
    return _depths(state, rf"ebm\.stages{towers(state)[0]}\.(\d+)\.(\d+)\.")


def _encoder_depths(state):
    return _depths(state, r"encoder\.layer(\d+)\.(\d+)\.")


def _depths(state, pattern):
    """The number of blocks in each stage."""
    blocks = {m.groups() for k in state if (m := re.match(pattern, k))}
    counts = collections.Counter(int(stage) for stage, _ in blocks)
    if not counts:
        name = pattern.replace(r"(\d+)", "*").replace("\\", "")
        raise entries_error(missing=[name])
    return tuple(counts[stage] for stage in sorted(counts))


def energy_options(state):
    """Arguments of `EnergyResNet`."""
    number, depths = towers(state)[0], _energy_depths(state)
    blocks = (
        f"ebm.stages{number}.{stage}.{int(stage > 0)}"
        for stage in range(len(depths))
    )
    conv1 = f"conv1.{SPECTRAL_KEYS['kernel']}"
    return {
        "widths": tuple(
            size_of(state, f"{block}.{conv1}", 4) for block in blocks
        ),
        "depths": depths,
        "towers": len(towers(state)),
        "head_width": size_of(state, "ebm.head.0.weight", 2),
        "feature_dim": size_of(state, "ebm.head.2.weight", 2),
        "latent_dim": size_of(state, "ebm.projection.2.weight", 2),
        "mean": _channels(state, f"ebm.stem{number}.0.mean"),
        "std": _channels(state, f"ebm.stem{number}.0.std"),
    }


def encoder_options(state):
    """Arguments of `ResNetEncoder`, but for its stem."""
    depths = _encoder_depths(state)
    stages = range(1, len(depths) + 1)
    return {
        "widths": tuple(
            size_of(state, f"encoder.layer{stage}.0.conv1.weight", 4)
            for stage in stages
        ),
        "depths": _published(depths, "encoder.layer1.0.conv3.weight" in state),
        "head_width": size_of(state, "encoder.fc.0.weight", 2),
        "latent_dim": size_of(state, "encoder.fc.3.weight", 2),
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


def size_of(state, key, rank, axis=0):
    """The length of an axis of an entry that has to be there."""
    if key not in state:
        raise entries_error(missing=[key])
    if state[key].ndim != rank:
        raise entries_error(misshapen=[described(state, key)])
    return state[key].shape[axis]


def _channels(state, key):
    if size_of(state, key, 1) != 3:
        raise entries_error(misshapen=[described(state, key)])
    return state[key].tolist()


# === Errors ===


def entries_error(**problems):
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


def described(state, key):
    """An entry's key and shape, for an error."""
    return f"{key} {state[key].shape}"
