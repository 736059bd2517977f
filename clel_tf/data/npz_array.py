"""Single arrays of npz files, known by their headers."""

import contextlib
import dataclasses
import math
import os
import struct
import zipfile
from typing import Literal

import numpy as np

_MAX_DEFLATE_RATIO = 1032  # a deflated byte never stands for more bytes
_LOCAL_HEADER = 30  # bytes before a member's name, whose length is at 26


@dataclasses.dataclass(frozen=True)
class NpzArray:
    """An array in an npz file, of which only the header was read.

    Args:
        path: str. The file.
        key: str. The array's name.
        shape: Tuple of ints, as the header declares it.
        dtype: `np.dtype`.
        order: `"C"` or `"F"`.
        room: int. Bytes that the array can take at most.
        offset: Optional int. Where its bytes start in the file; `None` where
            they are compressed.
    """

    path: str
    key: str
    shape: tuple
    dtype: np.dtype
    order: Literal["C", "F"]
    room: int
    offset: int | None

    @property
    def name(self):
        """str, for messages."""
        return f"{self.key} of {self.path}"

    @property
    def num_bytes(self):
        """int, the declared size."""
        return math.prod(self.shape) * self.dtype.itemsize

    def check(self, kind, wanted):
        """Raises `ValueError` if the header can't be that of good data.

        Args:
            kind: NumPy type of which the array's has to be.
            wanted: str. What that is called, for the message.
        """
        if not np.issubdtype(self.dtype, kind):
            raise ValueError(
                f"Expected {self.name} to hold {wanted}; received: "
                f"{self.dtype}."
            )
        if self.num_bytes > self.room:
            raise ValueError(
                f"Expected {self.name} to declare at most the {self.room} "
                f"bytes there is room for; received: {self.num_bytes} bytes, "
                f"shape {self.shape}."
            )

    def read(self):
        """Reads the array into memory; checks the file's checksum."""
        with _readable(self.path):
            with np.load(self.path, allow_pickle=False) as archive:
                return archive[self.key]

    def map(self):
        """Maps the array: its bytes are read where they are used.

        Raises:
            ValueError: If it is compressed or damaged.
        """
        if self.offset is None:
            raise ValueError(
                f"Expected {self.name} to be uncompressed, so as to stream it; "
                "received: a compressed array. Save it again by np.savez, or "
                "load it into memory by stream=False."
            )
        with _readable(self.path):
            return np.asarray(
                np.memmap(
                    self.path,
                    self.dtype,
                    mode="r",
                    offset=self.offset,
                    shape=self.shape,
                    order=self.order,
                )
            )


def read_headers(path):
    """Reads the headers of all arrays of a file, and no array.

    Args:
        path: str.

    Returns:
        dict of `NpzArray`, by key.

    Raises:
        ValueError: If the file is no npz file or damaged.

    Example:

    >>> import tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "images.npz")
    >>> np.savez(path, x=np.zeros([2, 3], np.uint8))
    >>> array = read_headers(path)["x"]
    >>> array.shape, array.room, array.map().sum().item()
    ((2, 3), 6, 0)
    """
    with _readable(path), zipfile.ZipFile(path) as archive:
        return {
            info.filename.removesuffix(".npy"): _read_header(archive, info)
            for info in archive.infolist()
            if info.filename.endswith(".npy")
        }


def _read_header(archive, info):
    path = archive.filename
    with archive.open(info) as member:
        if np.lib.format.read_magic(member) == (1, 0):
            header = np.lib.format.read_array_header_1_0(member)
        else:
            header = np.lib.format.read_array_header_2_0(member)
        length = member.tell()
    shape, is_fortran, dtype = header
    limit = _MAX_DEFLATE_RATIO * os.path.getsize(path)
    offset = None
    if info.compress_type == zipfile.ZIP_STORED:
        offset = _find_content(path, info) + length
    return NpzArray(
        path=path,
        key=info.filename.removesuffix(".npy"),
        shape=shape,
        dtype=dtype,
        order="F" if is_fortran else "C",
        room=min(info.file_size, limit) - length,
        offset=offset,
    )


def _find_content(path, info):
    """Where a member starts: behind a header that differs from `info`."""
    with open(path, "rb") as file:
        file.seek(info.header_offset + _LOCAL_HEADER - 4)
        lengths = struct.unpack("<HH", file.read(4))
    return info.header_offset + _LOCAL_HEADER + sum(lengths)


@contextlib.contextmanager
def _readable(path):
    try:
        yield
    except Exception as error:  # zipfile, zlib and NumPy raise a dozen kinds
        raise ValueError(
            f"Expected a readable npz file; received: {path} ({error})."
        ) from error
