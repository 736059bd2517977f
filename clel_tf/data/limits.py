"""How much a source may claim before any of it is decoded."""

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
            f"Expected at most {MAX_BYTES} bytes of decoded data, as sets of "
            f"images are kept in memory; received: {num_bytes} bytes in {name}."
        )


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
