"""Files of the FID Inception's weights."""

import hashlib
import os
import pathlib

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from clel_tf.metrics.extractors import inception_layout as layout

ENVIRONMENT = "CLEL_TF_INCEPTION"
CACHE = "~/.cache/clel_tf/inception/classify_image_graph_def.pb"
# Their sources are in docs/inception.md.
KNOWN = {
    "009d6814d1bc560d4e7b236e170e9b2d5ca6f4b57bd8037f6db05776204415c6": (
        "classify_image_graph_def.pb"
    ),
    "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2": (
        "pt_inception-2015-12-05-6726825d.pth"
    ),
}
_ARCHIVE = (
    "http://download.tensorflow.org/models/image/imagenet/"
    "inception-2015-12-05.tgz"
)
_NORMALIZATION = "BatchNormWithGlobalNormalization"
_PYTORCH_STARTS = (b"PK", b"\x80\x02")  # of a zip file, and of a pickle
# By rank, where in their tensor the axes of our array are.
_AXES = {1: (0,), 2: (1, 0), 4: (2, 3, 1, 0)}


def find_weights(path=None):
    """Finds the file of weights; downloads nothing.

    Args:
        path: str, path or None, for the file that the environment variable
            `CLEL_TF_INCEPTION` names, or else the one in the cache.

    Returns:
        `pathlib.Path`.

    Raises:
        FileNotFoundError: if there is no file; says where to get it.
    """
    path = path or os.environ.get(ENVIRONMENT) or CACHE
    path = pathlib.Path(path).expanduser()
    if path.is_file():
        return path
    raise FileNotFoundError(
        f"Expected the weights of the FID Inception in {path}, where there is "
        f"no file. Download {_ARCHIVE}, and put its member "
        f"classify_image_graph_def.pb (95,673,916 bytes) at {CACHE}, or its "
        f"path into the environment variable {ENVIRONMENT}."
    )


def read_weights(path, allow_unknown=False):
    """Reads a file of weights, if it is a known one.

    It is the original's frozen graph, or its conversion to PyTorch, which needs
    PyTorch to be read; nothing in it is executed.

    Args:
        path: str or path.
        allow_unknown: bool. Whether the file may have another SHA-256 than the
            known ones. The known ones are not even parsed before that.

    Returns:
        Tuple of a dict from the original graph's names to float arrays, in its
        layout, and the file's SHA-256, str of 64 hexadecimal digits.

    Raises:
        ImportError: if PyTorch is needed and not installed.
        ValueError: if the file is unknown, or not of a kind named above.
    """
    with pathlib.Path(path).open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if sha256 not in KNOWN and not allow_unknown:
            known = ", ".join(f"{key} ({KNOWN[key]})" for key in KNOWN)
            raise ValueError(
                f"Expected {path} to be the FID Inception, of SHA-256 {known}; "
                f"received: {sha256}. allow_unknown=True "
                "(--allow_unknown_inception) takes other weights of its "
                "layout, whose figures compare with no published ones."
            )
        file.seek(0)
        is_pytorch = file.read(2) in _PYTORCH_STARTS
        file.seek(0)
        return (_read_pytorch if is_pytorch else _read_graph)(file), sha256


def _read_graph(file):
    graph = tf.compat.v1.GraphDef()
    try:
        graph.ParseFromString(file.read())
    except DecodeError as error:
        raise ValueError(
            "Expected a frozen graph of TensorFlow, or a state dict of "
            f"PyTorch; received: {file.name} ({error})."
        ) from error
    wanted = _names()
    arrays = {
        node.name: tf.make_ndarray(node.attr["value"].tensor)
        for node in graph.node
        if node.op == "Const" and node.name in wanted
    }
    for node in graph.node:
        gamma = f"{node.name}/gamma"
        unused = not node.attr["scale_after_normalization"].b
        if node.op == _NORMALIZATION and unused and gamma in arrays:
            arrays[gamma] = np.ones_like(arrays[gamma])
    return arrays


def _read_pytorch(file):
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"Expected PyTorch, to read {file.name}: pip install "
            "'clel_tf[torch]'; the original's graph needs none."
        ) from error
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        return {
            ours: _to_ours(state[theirs].float().numpy())
            for ours, theirs in _names().items()
            if theirs in state
        }
    # A file of another kind can fail in any way.
    except Exception as error:
        raise ValueError(
            f"Expected a state dict of PyTorch; received: {file.name} "
            f"({type(error).__name__})."
        ) from error


def _to_ours(value):
    return value.transpose(_AXES[value.ndim])


def _names():
    """Names in the original graph, with those in PyTorch."""
    names = {layout.LOGITS: layout.PYTORCH_LOGITS}
    for one in layout.convolutions():
        for ours, theirs in layout.PARTS.items():
            names[f"{one.name}/{ours}"] = f"{one.pytorch}.{theirs}"
    return names
