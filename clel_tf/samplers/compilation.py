"""How a device runs chains: compiled by what, how many at a time."""

import numpy as np
import tensorflow as tf

# Pixels of the images that run at a time. From a few thousand on, a CPU's time
# an image stays the same, until the feature maps of all leave the cache ...
_CPU_PIXELS, _CPU_IMAGES = 2**15, 256
# ... and a GPU's falls on, until its memory is full.
_GPU_PIXELS, _GPU_IMAGES = 2**18, 4096


def resolve_jit_compile(jit_compile):
    """Decides whether XLA compiles chains.

    Args:
        jit_compile: bool, or "auto": True where TensorFlow sees a GPU or TPU.
            On CPUs the plain graph's oneDNN convolutions are three to five
            times faster than XLA's, so "auto" is False there.

    Returns:
        bool.
    """
    if jit_compile == "auto":
        return _has_accelerator()
    if isinstance(jit_compile, bool):
        return jit_compile
    raise ValueError(
        'Expected `jit_compile` to be True, False or "auto"; received: '
        f"{jit_compile!r}."
    )


def chunk_size(image_shape):
    """Images that chains should run at a time on this device.

    Args:
        image_shape: tuple of ints `(height, width, channels)`.

    Returns:
        int, a power of two.
    """
    if _has_accelerator():
        pixels, images = _GPU_PIXELS, _GPU_IMAGES
    else:
        pixels, images = _CPU_PIXELS, _CPU_IMAGES
    count = max(pixels // (image_shape[0] * image_shape[1]), 1)
    return min(2 ** (count.bit_length() - 1), images)


def rows_in_chunks(count, size, padded=False):
    """Row numbers, a chunk at a time.

    Args:
        count: int. Number of rows.
        size: int. Rows of a chunk.
        padded: bool. Whether the last chunk is made as long as a power of two
            (but no longer than the others) by repeating its last row: XLA
            compiles anew for every length that it meets.

    Returns:
        List of int arrays.
    """
    length = count
    if padded:
        whole = (count - 1) // size * size
        length = whole + min(size, 2 ** (count - whole - 1).bit_length())
    rows = np.minimum(np.arange(length), count - 1)
    return np.split(rows, range(size, length, size))


def halves_pay(jit_compile):
    """Whether chains should run `in_halves`: on CPUs and without XLA."""
    return not (_has_accelerator() or resolve_jit_compile(jit_compile))


def in_halves(function, *rows):
    """Applies a function to the two halves of its rows at the same time.

    On a CPU the operations of a small network wait for one another's threads
    much of the time. Two independent halves in one graph fill the waits.

    Args:
        function: takes the arguments and gives a structure of tensors of as
            many rows, each computed from that row alone.
        *rows: tensors of the same first dimension `n`, the first argument's,
            Nones, or structures of both.

    Returns:
        What `function(*rows)` gives, but for rounding.
    """
    count = rows[0].shape[0] or tf.shape(rows[0])[0]
    # Of an odd number both have the middle row, so that neither can be empty.
    half = (count + 1) // 2
    first, second = (
        function(*rows_of(rows, part))
        for part in (slice(None, half), slice(count - half, None))
    )
    return tf.nest.map_structure(
        lambda a, b: tf.concat([a, b[2 * half - count :]], axis=0),
        first,
        second,
    )


def rows_of(structure, rows):
    """The same structure of some rows of its tensors; Nones stay.

    Args:
        structure: structure of arrays or tensors `(n, ...)` and Nones.
        rows: slice, or for NumPy arrays an int array.
    """
    return tf.nest.map_structure(
        lambda x: None if x is None else x[rows], structure
    )


def _has_accelerator():
    devices = tf.config.list_logical_devices()
    return bool({d.device_type for d in devices} & {"GPU", "TPU"})
