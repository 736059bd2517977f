"""How much a source may claim before any of it is decoded."""

import os

MAX_BYTES = 2**34  # 16 GiB: ImageNet at 64x64 is 14.7 GiB
MAX_PIXELS = 2**26  # of one image file, 64 Mpx


def check_bytes(num_bytes, name):
    """Refuses a set of images that would not reasonably fit in memory.

    Args:
        num_bytes: int. Decoded size.
        name: str. What is to be decoded, for the message.

    Raises:
        ValueError: If the size is above `MAX_BYTES`.
    """
    if num_bytes > MAX_BYTES:
        raise ValueError(
            f"Expected at most {MAX_BYTES} bytes of decoded data, to keep them "
            f"in memory; received: {num_bytes} bytes in {name}."
        )


def should_stream(num_bytes, stream=None):
    """Decides whether images are read from their files again and again.

    Args:
        num_bytes: int. Decoded size of the images.
        stream: Optional bool, the user's own decision. Defaults to `None`:
            `True` where the images take more than a quarter of the machine's
            memory, as training holds up to three copies, or more than
            `MAX_BYTES`.

    Returns:
        bool.

    Example:

    >>> should_stream(2**20), should_stream(2**60), should_stream(1, True)
    (False, True, True)
    """
    if stream is not None:
        return bool(stream)
    return num_bytes > min(MAX_BYTES, _memory() // 4)


def _memory():
    # All of it: what is free at the moment would make runs differ.
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # there is no such question
        return MAX_BYTES * 4


def check_pixels(width, height, name):
    """Refuses an image file of more than `MAX_PIXELS` pixels.

    Args:
        width: int. Declared width.
        height: int. Declared height.
        name: str or path. The file, for the message.

    Raises:
        ValueError: If the image is too large.
    """
    if width * height > MAX_PIXELS:
        raise ValueError(
            f"Expected images of at most {MAX_PIXELS} pixels; received: "
            f"{width}x{height} pixels in {name}."
        )
