import contextlib
import os
import pathlib
import re
from typing import Any

import keras
import tensorflow as tf

from clel_tf import files
from clel_tf.backend import require_tensorflow
from clel_tf.export import operator_files
from clel_tf.export.sampler_module import SamplerModule
from clel_tf.export.saved_model_lint import lint_saved_model
from clel_tf.models.clel import CLEL
from clel_tf.models.preset_files import in_dtype

# What stands in URLs and in the server's settings as it is.
_NAME = r"[A-Za-z0-9_-][A-Za-z0-9_.-]*"


def export_sampler(
    model: CLEL,
    directory: os.PathLike[str] | str,
    *,
    dtype: str | keras.DTypePolicy | None = "float32",
    **options: Any,
) -> pathlib.Path:
    """Writes a model's sampler as a SavedModel, in a new version directory.

    The first version is 1, the next one follows the highest there. It appears
    complete or not at all, so that a running server takes it up as it is. What
    it computes is told by `SamplerModule`; `sample` is the default signature.
    It holds the variables of the averaged networks that inference reads, and
    what the model's `ood_score` has learned, no others, and needs neither Keras
    nor this package to run. Beside the graph the version has what a server's
    operator needs:

        README.md                how to start, ask, and tune a server
        signatures.json          inputs and outputs, and the sampler's settings
        models.config            a model list for the server, to start from
        batching_params.pbtxt    the same for batching of requests
        assets.extra/tf_serving_warmup_requests    a request of each signature

    Args:
        model: `CLEL`.
        directory: str or path. The served model's directory, which holds its
            versions, and by whose name clients ask for it; it is made where it
            is missing.
        dtype: Keras dtype policy of the exported networks, "auto" for what is
            fast here, or None for the model's own. Any CPU is fast in float32,
            and rows depend least on the size of their batch.
        **options: `num_steps`, `max_steps`, `langevin_temperature`,
            `class_latents`, `ood_threshold`, `xla`; see `SamplerModule`.

    Returns:
        `pathlib.Path` of the version.

    Raises:
        ValueError: if an option does not fit, or the directory's name is none
            for a model.
        FileExistsError: if `directory` is a file, or another process has just
            written the same version.

    Example:

    >>> import tempfile
    >>> from clel_tf.export import export_sampler
    >>> model = clel_tf.models.CLEL.from_preset("digits")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = export_sampler(model, folder, num_steps=2)
    ...     loaded = tf.saved_model.load(path)
    >>> path.name
    '1'
    >>> seeds = clel_tf.random.row_seeds(0, 4)
    >>> loaded.signatures["sample"](seed=tf.constant(seeds))["images"].shape
    TensorShape([4, 8, 8, 1])
    """
    require_tensorflow("export_sampler")
    directory = model_directory(directory)
    if dtype is not None:
        model = in_dtype(model, dtype)
    module = SamplerModule(model, **options)
    path = directory / str(_last_version(directory) + 1)
    with _no_empty_directories(directory), files.new_directory(path) as aside:
        _save(module, aside)
        _check(aside, module)
        operator_files.write(aside, path, module)
    return path


def model_directory(directory: os.PathLike[str] | str) -> pathlib.Path:
    """The absolute path of a directory that a served model may have.

    Args:
        directory: str or path.

    Returns:
        `pathlib.Path`.

    Raises:
        ValueError: if its last part is no model's name, or if it is a version.
        FileExistsError: if it is a file.
    """
    path = pathlib.Path(os.path.abspath(directory))
    if not os.fspath(directory) or not re.fullmatch(_NAME, path.name):
        raise ValueError(
            "Expected a directory whose name can be a served model's, of "
            f"letters, digits, `_`, `-` and `.`; received: {str(directory)!r}."
        )
    if (path / "saved_model.pb").exists():
        raise ValueError(
            f"Expected a directory of versions; {path} is a version itself."
        )
    if path.exists() and not path.is_dir():
        raise FileExistsError(
            f"Expected a directory of versions; {path} is a file."
        )
    return path


def _save(module, path):
    # Keras's `ExportArchive` would have TensorFlow trace everything twice.
    signatures = {
        name: tf.function(
            function, input_signature=specs, autograph=False
        ).get_concrete_function()
        for name, (function, specs) in module.signatures.items()
    }
    usual = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY
    signatures[usual] = signatures["sample"]
    root = tf.Module()
    root.read = [x.variables for x in signatures.values()]
    tf.saved_model.save(root, path, signatures)


def _check(path, module):
    xla = [name for name in module.signatures if name.endswith("_xla")]
    findings = lint_saved_model(path, xla)
    if findings:
        raise ValueError(
            "Expected a model that a server can run; found: "
            + "; ".join(findings)
        )


def _last_version(directory):
    versions = [p.name for p in directory.glob("*") if p.name.isdecimal()]
    return max(map(int, versions), default=0)


@contextlib.contextmanager
def _no_empty_directories(directory):
    """Takes away the directories that were made, if the block fails."""
    missing = [p for p in (directory, *directory.parents) if not p.exists()]
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            for path in missing:
                path.rmdir()
        raise
