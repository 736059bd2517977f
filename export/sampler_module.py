import contextlib
import pathlib

import keras
import tensorflow as tf

from clel_tf import files


class SamplerModule:
    """What a served sampler computes: graph functions of batches of rows.

        sample(seed)                      -> {"images"}
        sample_conditional(seed, latents) -> {"images"}
        energy(images)                    -> {"energy"}
        latents(images)                   -> {"latents"}
        score(images)                     -> {"score"}

    Dimension 0 of every input and output is the batch, and a row of an output
    depends on that row of the inputs alone, so that a server may batch the
    requests of several clients. Nothing is drawn but from `seed`: row `i` of
    `CLEL.sample(n, seed=s)` is the image of `row_seeds(s, n)[i]`.

    Wrong rows, shapes and values are refused by checks in the graph, because a
    server looks at names and dtypes only.

    Args:
        model: `CLEL`.
        num_steps: int >= 1 or None for the sampler's `sample_steps`. Langevin
            steps of every sample.
        jit_compile: bool. Whether XLA compiles the chains. TensorFlow Serving
            refuses to run them then, unless started with
            `--xla_cpu_compilation_enabled`.
    """

    def __init__(self, model, num_steps=None, jit_compile=False):
        steps = model.sampler.sample_steps if num_steps is None else num_steps
        # More would wrap around in the graph's int32, without a word.
        if not isinstance(steps, int) or not 1 <= steps < 2**31:
            raise ValueError(
                "Expected `num_steps` to be an int from 1 to 2**31 - 1; "
                f"received: {steps!r}."
            )
        if not isinstance(jit_compile, bool):
            raise ValueError(
                "Expected `jit_compile` to be a bool, for a machine that is "
                f"not this one; received: {jit_compile!r}."
            )
        self.model = model
        self.num_steps = steps
        self.sampler = type(model.sampler).from_config(
            {**model.sampler.get_config(), "jit_compile": jit_compile}
        )

    @property
    def signatures(self):
        """Dict from names to tuples of a method and its `tf.TensorSpec`s."""
        seed = tf.TensorSpec([None], tf.int64, name="seed")
        latents = tf.TensorSpec([None, self._dimension], name="latents")
        images = tf.TensorSpec([None, *self.model.image_shape], name="images")
        return {
            "sample": (self.sample, [seed]),
            "sample_conditional": (self.sample_conditional, [seed, latents]),
            "energy": (self.energy, [images]),
            "latents": (self.latents, [images]),
            "score": (self.score, [images]),
        }

    def sample(self, seed):
        return {"images": self._sample(_rows("seed", seed))}

    def sample_conditional(self, seed, latents):
        seed = _rows("seed", seed)
        latents = _rows("latents", latents, self._dimension)
        seed = _checked(
            seed,
            tf.equal(tf.shape(seed)[0], tf.shape(latents)[0]),
            "Expected `seed` and `latents` of as many rows; received shapes:",
            tf.shape(seed),
            tf.shape(latents),
        )
        return {"images": self._sample(seed, _unit(latents))}

    def energy(self, images):
        return {"energy": self.model.energy(self._images(images))}

    def latents(self, images):
        return {"latents": self._latents(self._images(images))}

    def score(self, images):
        images = self._images(images)
        return {"score": self.model.energy(images, self._latents(images))}

    @property
    def _dimension(self):
        return self.model.encoder.output_shape[-1]

    def _sample(self, seed, latents=None):
        return self.model.sample_rows(
            seed, self.num_steps, latents=latents, sampler=self.sampler
        )

    def _latents(self, images):
        embeddings = self.model.ema_encoder(images, training=False)
        return keras.ops.normalize(embeddings, axis=-1)

    def _images(self, images):
        images = _rows("images", images, *self.model.image_shape)
        return _checked(
            images,
            tf.reduce_all((images >= 0.0) & (images <= 1.0)),
            "Expected `images` in [0, 1]; received values from and to:",
            tf.reduce_min(images),
            tf.reduce_max(images),
        )


def export_sampler(model, directory, num_steps=None, jit_compile=False):
    """Writes a model's sampler as a SavedModel, in a new version directory.

    The first version is 1, the next one follows the highest there. It appears
    complete or not at all, so that a running server takes it up as it is. What
    it computes is told by `SamplerModule`; `sample` is the default signature.
    It holds the variables of the averaged networks that inference reads, no
    others, and needs neither Keras nor this package to run.

    Args:
        model: `CLEL`.
        directory: str or path. The served model's directory, which holds its
            versions; it is made where it is missing.
        num_steps: int >= 1 or None for the sampler's `sample_steps`.
        jit_compile: bool. See `SamplerModule`.

    Returns:
        `pathlib.Path` of the version.

    Raises:
        ValueError: if `num_steps` or `jit_compile` does not fit.
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
    module = SamplerModule(model, num_steps, jit_compile)
    directory = pathlib.Path(directory)
    if directory.exists() and not directory.is_dir():
        raise FileExistsError(
            f"Expected a directory of versions; {directory} is a file."
        )
    archive = keras.export.ExportArchive()
    for name, (function, specs) in module.signatures.items():
        archive.add_endpoint(name, function, specs)
    path = directory / str(_last_version(directory) + 1)
    with _no_empty_directory(directory), files.new_directory(path) as aside:
        archive.write_out(str(aside), verbose=False)
    return path


def _rows(name, tensor, *shape):
    tensor = tf.ensure_shape(tensor, [None, *shape])
    return _checked(
        tensor,
        tf.shape(tensor)[0] > 0,
        f"Expected `{name}` of at least one row; received shape:",
        tf.shape(tensor),
    )


def _unit(vectors):
    norms = tf.norm(vectors, axis=-1, keepdims=True)
    vectors = _checked(
        vectors,
        tf.reduce_all((norms > 0.0) & tf.math.is_finite(norms)),
        "Expected `latents` finite and without zero vectors; received norms:",
        norms[:, 0],
    )
    return vectors / norms


def _checked(tensor, condition, message, *received):
    check = tf.debugging.Assert(condition, [message, *received], summarize=16)
    with tf.control_dependencies([check]):
        return tf.identity(tensor)


def _last_version(directory):
    versions = [p.name for p in directory.glob("*") if p.name.isdecimal()]
    return max(map(int, versions), default=0)


@contextlib.contextmanager
def _no_empty_directory(directory):
    existed = directory.exists()
    try:
        yield
    except BaseException:
        if not existed:
            with contextlib.suppress(OSError):
                directory.rmdir()
        raise
