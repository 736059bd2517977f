"""Parts of a long piece of work, each of which is done once."""

import json
import pathlib
import time
import zipfile

import numpy as np

from clel_tf import files
from clel_tf.differences import differences

_FIGURES = "figures.json"
_WIDTH = 32  # of a part's name in what is told
_LONG = 5_000  # images, from which on progress within a part is told


def tell_tenths(total):
    """A function of the number of images done, which prints every tenth."""
    told = 0

    def tell(done):
        nonlocal told
        tenths = 10 * done // total
        if total >= _LONG and told < tenths < 10:
            print(f"{tenths}0% ", end="", flush=True)
            told = tenths

    return tell


class Parts:
    """A directory of parts that are kept, so that stopped work goes on.

    Args:
        directory: str or path. New, empty, or that of the same request.
        request: dict for JSON. All that the parts depend on.

    Raises:
        ValueError: if the directory holds parts of another request, or other
            files.
    """

    def __init__(self, directory, request):
        self.directory = pathlib.Path(directory)
        self._parts = self.directory / "parts"
        self._request = json.loads(json.dumps(request))
        self._path = self._parts / "request.json"
        self._check()

    def create(self):
        """Makes the directory."""
        self._parts.mkdir(parents=True, exist_ok=True)
        with files.new_file(self._path) as aside:
            aside.write_text(json.dumps(self._request, indent=2) + "\n")

    def get(self, name, compute):
        """What a part gave before, or gives now; tells its name and time.

        Args:
            name: str. The part's name.
            compute: function of nothing giving a tuple of figures, a dict for
                JSON, and arrays, a dict of NumPy arrays.

        Returns:
            Tuple of the same two.
        """
        path = self._parts / f"{name.replace('/', '.')}.npz"
        if path.is_file():
            print(f"{name:<{_WIDTH}}kept", flush=True)
            return _read(path)
        print(f"{name:<{_WIDTH}}", end="", flush=True)
        start = time.perf_counter()
        figures, arrays = compute()
        with files.new_file(path) as aside:
            text = np.array(json.dumps(figures))
            np.savez(aside, **{_FIGURES: text, **arrays})
        print(f"{time.perf_counter() - start:.1f} s", flush=True)
        return _read(path)  # so that kept parts and new ones are the same

    def _check(self):
        if self.directory.is_file():
            raise ValueError(
                f"Expected a directory; {self.directory} is a file."
            )
        if self._path.is_file():
            found = differences(
                json.loads(self._path.read_text()), self._request
            )
            if found:
                raise ValueError(
                    f"{self.directory} holds another evaluation: "
                    f"{'; '.join(found)}. Choose a new directory."
                )
        elif self.directory.is_dir() and any(self.directory.iterdir()):
            raise ValueError(
                "Expected a new or empty directory, or one with an "
                f"evaluation; {self.directory} holds other files."
            )


def _read(path):
    try:
        with np.load(path) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (zipfile.BadZipFile, ValueError, EOFError) as error:
        raise ValueError(
            f"Expected a part of an evaluation in {path}: {error}. Remove it "
            "to have it computed anew."
        ) from error
    return json.loads(str(arrays.pop(_FIGURES))), arrays
