"""The layers of the FID Inception, and what files call them.

That is the Inception-v3 of 2015-12-05, a precursor of the published one.
"""

from typing import NamedTuple

# What belongs to a convolution: in the original graph, and in PyTorch.
PARTS = {
    "conv2d_params": "conv.weight",
    "batchnorm/gamma": "bn.weight",
    "batchnorm/beta": "bn.bias",
    "batchnorm/moving_mean": "bn.running_mean",
    "batchnorm/moving_variance": "bn.running_var",
}
LOGITS, PYTORCH_LOGITS = "softmax/weights", "fc.weight"


class Convolution(NamedTuple):
    """A convolution, its normalisation and a ReLU.

    Attributes:
        name: str. Its scope in the original graph.
        pytorch: str. Its module in the conversions to PyTorch.
        filters: int.
        height: int, of the kernel.
        width: int, of the kernel.
        stride: int.
        padding: "same" or "valid".
    """

    name: str
    pytorch: str
    filters: int
    height: int
    width: int
    stride: int = 1
    padding: str = "same"


class Pool(NamedTuple):
    """A pooling of 3x3 windows; only those of stride 1 pad.

    Attributes:
        kind: "average", of the pixels inside the image, or "max".
        stride: int.
    """

    kind: str
    stride: int = 1


_AVERAGE, _HALVE = Pool("average"), Pool("max", 2)
_FORK = ((384, 1, 3), (384, 3, 1))  # two convolutions of one input

STEM = (
    Convolution("conv", "Conv2d_1a_3x3", 32, 3, 3, 2, "valid"),
    Convolution("conv_1", "Conv2d_2a_3x3", 32, 3, 3, 1, "valid"),
    Convolution("conv_2", "Conv2d_2b_3x3", 64, 3, 3),
    _HALVE,
    Convolution("conv_3", "Conv2d_3b_1x1", 80, 1, 1),
    Convolution("conv_4", "Conv2d_4a_3x3", 192, 3, 3, 1, "valid"),
    _HALVE,
)

# Blocks are branches: a scope in the block's, a name in PyTorch, pools and
# convolutions (filters, height, width, stride).


def _block_5(pooled):
    return (
        ("", "branch1x1", (64, 1, 1)),
        ("/tower", "branch5x5", (48, 1, 1), (64, 5, 5)),
        ("/tower_1", "branch3x3dbl", (64, 1, 1), (96, 3, 3), (96, 3, 3)),
        ("/tower_2", "branch_pool", _AVERAGE, (pooled, 1, 1)),
    )


def _block_6(width):
    point, across, down = (width, 1, 1), (width, 1, 7), (width, 7, 1)
    double = point, down, across, down, (192, 1, 7)
    return (
        ("", "branch1x1", (192, 1, 1)),
        ("/tower", "branch7x7", point, across, (192, 7, 1)),
        ("/tower_1", "branch7x7dbl", *double),
        ("/tower_2", "branch_pool", _AVERAGE, (192, 1, 1)),
    )


def _block_7(pool):
    return (
        ("", "branch1x1", (320, 1, 1)),
        ("/tower", "branch3x3", (384, 1, 1), _FORK),
        ("/tower_1", "branch3x3dbl", (448, 1, 1), (384, 3, 3), _FORK),
        ("/tower_2", "branch_pool", pool, (192, 1, 1)),
    )


_SEPARATE = (192, 1, 1), (192, 1, 7), (192, 7, 1), (192, 3, 3, 2)
_BRANCHES = {
    "Mixed_5b": _block_5(32),
    "Mixed_5c": _block_5(64),
    "Mixed_5d": _block_5(64),
    "Mixed_6a": (
        ("", "branch3x3", (384, 3, 3, 2)),
        ("/tower", "branch3x3dbl", (64, 1, 1), (96, 3, 3), (96, 3, 3, 2)),
        ("", "", _HALVE),
    ),
    "Mixed_6b": _block_6(128),
    "Mixed_6c": _block_6(160),
    "Mixed_6d": _block_6(160),
    "Mixed_6e": _block_6(192),
    "Mixed_7a": (
        ("/tower", "branch3x3", (192, 1, 1), (320, 3, 3, 2)),
        ("/tower_1", "branch7x7x3", *_SEPARATE),
        ("", "", _HALVE),
    ),
    "Mixed_7b": _block_7(_AVERAGE),
    # Only this network has a maximum here; others have an average.
    "Mixed_7c": _block_7(Pool("max")),
}


def _named(scope, module, steps):
    """A branch's steps, with names in its convolutions."""
    pools = [step for step in steps if isinstance(step, Pool)]
    rest = steps[len(pools) :]
    named: list = [*pools]
    for i, step in enumerate(rest):
        theirs = f"{module}_{i + 1}" if len(rest) > 1 else module
        if step is _FORK:
            names = zip((f"{scope}/mixed/conv", f"{scope}/mixed/conv_1"), "ab")
            named.append(
                [
                    _convolution(ours, theirs + letter, *one)
                    for (ours, letter), one in zip(names, _FORK)
                ]
            )
        else:
            ours = f"{scope}/{_numbered('conv', i)}"
            named.append(_convolution(ours, theirs, *step))
    return named


def _convolution(name, pytorch, filters, height, width, stride=1):
    padding = "valid" if stride > 1 else "same"
    return Convolution(name, pytorch, filters, height, width, stride, padding)


def _numbered(name, index):
    return f"{name}_{index}" if index else name


# Lists of branches, whose outputs are joined. These are lists of `Pool`s,
# `Convolution`s and pairs of `Convolution`s, whose outputs are joined.
BLOCKS = [
    [
        _named(_numbered("mixed", i) + scope, f"{block}.{module}", steps)
        for scope, module, *steps in branches
    ]
    for i, (block, branches) in enumerate(_BRANCHES.items())
]


def convolutions():
    """Yields all `Convolution`s.

    Example:

    >>> names = [one.name for one in convolutions()]
    >>> len(names), names[0], names[-1]
    (94, 'conv', 'mixed_10/tower_2/conv')
    """
    steps = [step for block in BLOCKS for branch in block for step in branch]
    for step in (*STEM, *steps):
        if isinstance(step, list):
            yield from step
        elif isinstance(step, Convolution):
            yield step
