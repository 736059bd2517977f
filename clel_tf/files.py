"""Files and directories that appear complete or not at all."""

import contextlib
import os
import pathlib
import shutil
import tempfile


@contextlib.contextmanager
def new_file(path):
    """Gives a path to write to, which replaces `path` if the block succeeds.

    What was written is on the disk before it does: losing power leaves the old
    file or the new one.

    Args:
        path: str or path. An existing file stays as it was until the end.

    Yields:
        `pathlib.Path` in the same directory, with the same suffix.
    """
    path = pathlib.Path(path)
    aside = path.with_name(f".{os.getpid()}_{path.name}")
    try:
        yield aside
        _synchronize(aside)
        os.replace(aside, path)
        _synchronize(path.parent)
    finally:
        aside.unlink(missing_ok=True)


@contextlib.contextmanager
def new_directory(path):
    """Gives a directory to fill, which becomes `path` if the block succeeds.

    Args:
        path: str or path. Must not exist; its parents are made.

    Yields:
        `pathlib.Path` of a directory beside it.

    Raises:
        FileExistsError: if `path` exists, before the block or after it.
    """
    path = pathlib.Path(path)
    if path.exists():
        raise FileExistsError(f"Expected a new directory; {path} exists.")
    path.parent.mkdir(parents=True, exist_ok=True)
    # No version of a served model: servers read directories named by numbers.
    aside = pathlib.Path(tempfile.mkdtemp(prefix="tmp_", dir=path.parent))
    try:
        yield aside
        aside.chmod(0o755)
        try:
            os.rename(aside, path)
        except OSError as error:
            if path.exists():  # by another process, in the meantime
                raise FileExistsError(
                    f"Expected a new directory; {path} exists."
                ) from error
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _synchronize(path):
    """Waits until a file, or a directory's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
