"""What a run leaves on disk, and whether it may go on there."""

import copy
import csv
import json
import pathlib

from clel_tf import files

_NETWORKS = ("energy_network", "encoder")


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
            if self.path.is_dir() and any(self.path.iterdir()):
                raise ValueError(
                    f"Expected a new or empty directory, or one with a run; "
                    f"{self.path} holds other files."
                )
            return
        found = differences(self.stored_config(), _normal(config))
        if found:
            raise ValueError(
                f"{self.path} holds a run of another configuration: "
                f"{'; '.join(found)}. Choose a new directory."
            )

    def with_its_dtypes(self, recipe):
        """A copy of a recipe whose precision, where open, is the run's own.

        A run goes on in the precision that it began in, on any machine.
        """
        recipe = copy.deepcopy(recipe)
        if self._config.is_file():
            stored = self.stored_config()["recipe"]
            for name in _NETWORKS:
                part = recipe.setdefault(name, {})
                if part.get("dtype", "auto") == "auto":
                    part["dtype"] = stored[name]["dtype"]
        return recipe

    def stored_config(self):
        """The configuration that the run was made with."""
        config = _read(self._config)
        recipe = config.setdefault("recipe", {})
        for name in _NETWORKS:
            # Runs that do not tell were made before there was a choice.
            recipe.setdefault(name, {}).setdefault("dtype", "float32")
        return config

    def create(self, config):
        """Makes the directory, if need be, and writes the configuration."""
        for name in ("checkpoints", "samples"):
            (self.path / name).mkdir(parents=True, exist_ok=True)
        _write(self._config, config)

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


def differences(old, new, prefix=""):
    """Lines `name: old there, new asked for` for what two dicts differ in."""
    lines = []
    for name in sorted({*old, *new}):
        a, b = old.get(name), new.get(name)
        if isinstance(a, dict) and isinstance(b, dict):
            lines += differences(a, b, f"{prefix}{name}.")
        elif a != b:
            lines.append(f"{prefix}{name}: {a!r} there, {b!r} asked for")
    return lines
