"""Files of arrays that are whole, or known not to be.

Such a file is NumPy's `.npz` with a record in JSON beside the arrays. After its
end, where `np.load` does not look, stands the SHA-256 of all before it, as 64
hexadecimal digits.
"""

import hashlib
import io
import json

import numpy as np

from clel_tf import files

_RECORD = "record"
_DIGITS = 64


def write(path, record, arrays):
    """Writes a checkpoint, which is on the disk when this returns.

    Args:
        path: `pathlib.Path`. A file there is replaced, or stays as it was if
            this fails.
        record: dict for JSON.
        arrays: dict from names to NumPy arrays.

    Raises:
        OSError: if the file cannot be written, as on a full disk.

    Example:

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.npz"
    >>> write(path, {"step": 7}, {"ages": np.arange(3)})
    >>> read(path)
    ({'step': 7}, {'ages': array([0, 1, 2])})
    """
    own: dict = {_RECORD: np.array(json.dumps(record))}
    try:
        with files.new_file(path) as aside, aside.open("w+b") as file:
            np.savez(file, **own, **arrays)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.write(digest.encode())
    except OSError as error:
        raise OSError(f"{path} could not be written: {error}") from error


def read(path):
    """Reads a checkpoint into memory, and verifies it there.

    Args:
        path: `pathlib.Path`.

    Returns:
        Tuple of the record, a dict, and the dict of arrays.

    Raises:
        ValueError: if the file is torn, was changed or cannot be read.
    """
    try:
        content = memoryview(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    content, digest = content[:-_DIGITS], content[-_DIGITS:]
    if hashlib.sha256(content).hexdigest().encode() != digest:
        raise ValueError(
            f"{path} is torn or was changed: its SHA-256 is another than noted."
        )
    with np.load(io.BytesIO(content)) as stored:
        arrays = dict(stored)
    return json.loads(str(arrays.pop(_RECORD))), arrays
