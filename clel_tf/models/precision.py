import os
import pathlib

import tensorflow as tf
from absl import logging

_CPU_INFORMATION = pathlib.Path("/proc/cpuinfo")
_CPU_FLAGS = {"avx512_bf16", "amx_bf16"}
_AMPERE = (8, 0)  # the first GPUs with bfloat16 tensor cores


def resolve_dtype(dtype):
    """Decides the precision of a network.

    A network of dtype "mixed_bfloat16" keeps float32 weights, normalises
    images and gives features and latents in float32, and computes what lies
    between in bfloat16. Energies, chains and optimizers are always float32.

    Args:
        dtype: a Keras dtype policy or None, given back as they are, or "auto":
            "mixed_bfloat16" where the device is fast at it (TPUs, GPUs from
            compute capability 8.0 on, CPUs with avx512_bf16 or amx_bf16 and
            oneDNN), else "float32".

    Returns:
        A Keras dtype policy or None.

    Example:

    >>> clel_tf.models.resolve_dtype("float32")
    'float32'
    """
    if dtype != "auto":
        return dtype
    dtype = "mixed_bfloat16" if _is_fast_at_bfloat16() else "float32"
    logging.info('The dtype "auto" is %s on this device.', dtype)
    return dtype


def _is_fast_at_bfloat16():
    if tf.config.get_visible_devices("TPU"):
        return True
    gpus = tf.config.get_visible_devices("GPU")
    if gpus:
        details = map(tf.config.experimental.get_device_details, gpus)
        capabilities = [d.get("compute_capability", (0, 0)) for d in details]
        return min(capabilities) >= _AMPERE
    onednn = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1").lower()
    return onednn not in ("0", "false") and bool(_cpu_flags() & _CPU_FLAGS)


def _cpu_flags():
    if not _CPU_INFORMATION.exists():  # macOS, Windows: no such kernels there
        return set()
    lines = _CPU_INFORMATION.read_text().splitlines()
    flags = (line for line in lines if line.startswith("flags"))
    return set(next(flags, "").split())
