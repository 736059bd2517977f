"""Images as PNG files, in graphs of a server."""

import struct

import tensorflow as tf

from clel_tf.data.dequantize import dequantize
from clel_tf.data.dequantize import to_bytes
from clel_tf.export import checks

CHANNELS = (1, 3, 4)
# A file's first chunk tells its size: signature, length, name, width, height.
_HEADER = struct.Struct(">8sI4sII")
# For all but pixels. Texts and profiles unfold a thousandfold, so there has to
# be an end to them.
_OTHER_BYTES = 2**12


def decode(name, encoded, image_shape):
    """PNG files to images: a byte `k` stands for `(k + 1/2) / 256`.

    Files of another size than the images' are refused by their header, before
    anything is decoded: a few bytes may stand for gigabytes of pixels.

    Args:
        name: str. What the files are called in messages.
        encoded: string tensor of shape `(n,)`.
        image_shape: tuple of ints `(height, width, channels)`.

    Returns:
        float32 tensor of shape `(n, *image_shape)`, in (0, 1).
    """
    height, width, channels = image_shape
    encoded = checks.rows(name, encoded)
    encoded = _check_sizes(name, encoded, height, width)
    images = tf.map_fn(
        lambda file: tf.io.decode_png(file, channels),
        encoded,
        fn_output_signature=tf.TensorSpec(image_shape, tf.uint8),
    )
    return dequantize(images, levels=256)


def encode(images):
    """Images in [0, 1] to PNG files, of bytes `floor(256 x)`.

    Args:
        images: float32 tensor of shape `(n, height, width, channels)`.

    Returns:
        string tensor of shape `(n,)`.
    """
    return tf.io.encode_png(to_bytes(images))


def _check_sizes(name, encoded, height, width):
    most = _OTHER_BYTES + 8 * height * width  # no pixel has more than 8 bytes
    encoded = checks.checked(
        encoded,
        tf.reduce_all(tf.strings.length(encoded) <= most),
        f"Expected `{name}` of at most {most} bytes; received lengths:",
        tf.strings.length(encoded),
    )
    header = _HEADER.pack(b"\x89PNG\r\n\x1a\n", 13, b"IHDR", width, height)
    received = tf.strings.substr(encoded, 0, len(header))
    return checks.checked(
        encoded,
        tf.reduce_all(tf.equal(received, header)),
        f"Expected `{name}` of PNG files of {width}x{height} pixels; received "
        "widths and heights (0 of no PNG file):",
        _sizes(received),
    )


def _sizes(headers):
    is_png = tf.equal(tf.strings.substr(headers, 0, 4), b"\x89PNG")
    size = tf.strings.substr(headers + tf.constant(b"\0" * 24), 16, 8)
    size = tf.io.decode_raw(size, tf.int32, little_endian=False)
    return tf.where(is_png[:, tf.newaxis], size, 0)
