"""What a run leaves on disk, and whether it may go on there."""

import contextlib
import copy
import csv
import fcntl
import json
import os
import pathlib

from clel_tf import files
from clel_tf import presets
from clel_tf.differences import differences


class RunDirectory:
    """A directory of one run: its configuration, state and results.

    Args:
        path: str or path.
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self._config = self.path / "config.json"
        self._summary = self.path / "summary.json"

    def check(self, config):
        """Raises unless the directory is new, empty or of this run."""
        if self.path.is_file():
            raise ValueError(f"Expected a directory; {self.path} is a file.")
        if not self._config.is_file():
            found = self.path.iterdir() if self.path.is_dir() else []
            if any(map(_is_foreign, found)):
                raise ValueError(
                    f"Expected a new or empty directory, or one with a run; "
                    f"{self.path} holds other files."
                )
            return
        found = differences(self.stored_config(), _normal(config))
        if found:
            raise ValueError(
                f"{self.path} holds a run of another configuration: "
                f"{'; '.join(found)}. {self._way_out()}"
            )

    def with_its_dtypes(self, recipe):
        """A copy of a recipe whose precision, where open, is the run's own.

        A run goes on in the precision that it began in, on any machine.
        """
        recipe = copy.deepcopy(recipe)
        if self._config.is_file():
            stored = self.stored_config()["recipe"]
            for name in presets.networks(recipe):
                part = recipe.setdefault(name, {})
                if part.get("dtype", "auto") == "auto" and name in stored:
                    part["dtype"] = stored[name]["dtype"]
        return recipe

    def stored_config(self):
        """The configuration that the run was made with."""
        config = _read(self._config)
        # Runs that do not tell were made before there was a choice.
        recipe = presets.upgraded(config.get("recipe", {}))
        for name in presets.networks(recipe):
            recipe.setdefault(name, {}).setdefault("dtype", "float32")
        config["recipe"] = recipe
        # Nor had they a guard; without an incident it changes nothing.
        config.setdefault("guard", "learning_rate")
        config.setdefault("data_faults", "raise")
        return config

    def _way_out(self):
        if not self.is_finished():
            return "Choose a new directory."
        return (
            "That run is finished; one in a new directory goes on from its "
            f"weights with --init_from={self.path}."
        )

    def create(self, config):
        """Makes the directory, if need be, and writes the configuration."""
        self.path.mkdir(parents=True, exist_ok=True)
        # First: a directory without one is taken for somebody else's.
        _write(self._config, config)
        for name in ("checkpoints", "samples"):
            (self.path / name).mkdir(exist_ok=True)

    @contextlib.contextmanager
    def locked(self):
        """Keeps other processes of this machine from training here meanwhile.

        Raises:
            ValueError: if another one does.
        """
        directory = os.open(self.path, os.O_RDONLY)
        try:
            _lock(directory, self.path)
            yield
        finally:
            os.close(directory)  # which unlocks it, as the process's end does

    def is_finished(self):
        return self._summary.is_file()

    def read_summary(self):
        return _read(self._summary)

    def train_seconds(self):
        """Seconds of training so far, over all processes that had a part."""
        with (self.path / "timing.csv").open(newline="") as file:
            return sum(float(row["seconds"]) for row in csv.DictReader(file))

    def finish(self, summary):
        """Writes the summary: the last file of a run, and its mark."""
        _write(self._summary, summary)


def _lock(descriptor, path):
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ValueError(f"Another process is training in {path}.") from error


def _is_foreign(path):
    # A process that was killed may have left half a configuration.
    return not path.match(".*_config.json")


def _read(path):
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}.") from error


def _write(path, value):
    with files.new_file(path) as aside:
        aside.write_text(json.dumps(value, indent=2) + "\n")


def _normal(value):
    """The value as it comes back from JSON: tuples are lists."""
    return json.loads(json.dumps(value))
