import functools
import math

import numpy as np
import tensorflow as tf

from clel_tf.export import checks
from clel_tf.export import png
from clel_tf.models.joint_energy_model import unit

_LARGEST = np.finfo("float32").max
_CHAINS = (
    "sample",
    "sample_conditional",
    "sample_class",
    "sample_like",
    "refine",
)


class SamplerModule:
    """What a served sampler computes: graph functions of batches of rows.

        sample(seed)                      -> images
        sample_conditional(seed, latents) -> images, of E(x, z)
        sample_class(seed, class_id)      -> images, of a class's latent
        sample_like(seed, images)         -> images, of these images' latents
        refine(seed, images, num_steps)   -> images, of chains that start there
        energy(images)                    -> energy
        latents(images)                   -> latents
        ood_score(images)                 -> score [, threshold, is_ood]

    Each has a twin, such as `sample_png`, that takes and gives `image_bytes`,
    PNG files, where it takes and gives `images`, float32 in [0, 1] (of one,
    three or four channels).

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
        max_steps: int >= 1 or None for `num_steps`. The largest number of steps
            that `refine` makes; more are refused.
        langevin_temperature: float >= 0 or None for the sampler's. Temperature
            `T` of the chains: their noise is `sqrt(2 * step_size * T)`.
        class_latents: None, or float array `(classes, d)`, a latent of each
            class. Without them there is no `sample_class`.
        ood_threshold: float or None for the model's own. Scores above it are
            `is_ood`. Where there is none, `ood_score` gives scores only.
        xla: bool. Whether there are further signatures, `sample_xla` and its
            kind, whose chains XLA compiles. TensorFlow Serving refuses to run
            these, unless started with `--xla_cpu_compilation_enabled`.

    Raises:
        ValueError: if an argument does not fit.
    """

    def __init__(
        self,
        model,
        num_steps=None,
        max_steps=None,
        langevin_temperature=None,
        class_latents=None,
        ood_threshold=None,
        xla=False,
    ):
        if num_steps is None:
            num_steps = model.sampler.sample_steps
        if ood_threshold is None:
            ood_threshold = model.ood_threshold
        self.model = model
        self.num_steps = _check_steps("num_steps", num_steps)
        if max_steps is None:
            max_steps = num_steps
        self.max_steps = _check_steps("max_steps", max_steps)
        self.sampler = _sampler(model.sampler, langevin_temperature)
        self.class_latents = self._check_class_latents(class_latents)
        self.ood_threshold = _check_threshold(ood_threshold)
        self.xla = xla
        # Shared by the signatures, so that a file holds each graph once.
        self._chains = tf.function(self._run_chains, autograph=False)
        self._energy = tf.function(model.energy, autograph=False)
        self._latents = tf.function(self._unit_latents, autograph=False)

    @property
    def signatures(self):
        """Dict from names to tuples of a function and its `tf.TensorSpec`s."""
        methods = {
            "sample": (self.sample, ["seed"]),
            "sample_conditional": (
                self.sample_conditional,
                ["seed", "latents"],
            ),
            "sample_class": (self.sample_class, ["seed", "class_id"]),
            "sample_like": (self.sample_like, ["seed", "images"]),
            "refine": (self.refine, ["seed", "images", "num_steps"]),
            "energy": (self.energy, ["images"]),
            "latents": (self.latents, ["images"]),
            "ood_score": (self.ood_score, ["images"]),
        }
        if self.class_latents is None:
            del methods["sample_class"]
        if self.xla:
            for name in [name for name in methods if name in _CHAINS]:
                method, inputs = methods[name]
                compiled = functools.partial(method, xla=True)
                methods[f"{name}_xla"] = compiled, inputs
        if self.model.image_shape[-1] in png.CHANNELS:
            for name in [name for name in methods if name[-4:] != "_xla"]:
                methods[f"{name}_png"] = self._with_png(*methods[name])
        return {
            name: (method, [self._spec(x) for x in inputs])
            for name, (method, inputs) in methods.items()
        }

    def sample(self, seed, xla=False):
        seed = checks.rows("seed", seed)
        return {"images": self._chains(seed, self.num_steps, xla=xla)}

    def sample_conditional(self, seed, latents, xla=False):
        seed = checks.rows("seed", seed)
        latents = checks.rows("latents", latents, self.latent_dimension)
        seed = checks.as_many_rows("seed", seed, latents=latents)
        return self._sample_from(seed, checks.unit("latents", latents), xla)

    def sample_class(self, seed, class_id, xla=False):
        seed = checks.rows("seed", seed)
        class_id = checks.rows("class_id", class_id)
        seed = checks.as_many_rows("seed", seed, class_id=class_id)
        last = len(self.class_latents) - 1
        class_id = checks.in_range("class_id", class_id, 0, last)
        latents = tf.gather(tf.constant(self.class_latents), class_id)
        return self._sample_from(seed, latents, xla)

    def sample_like(self, seed, images, xla=False):
        seed = checks.rows("seed", seed)
        images = self._check_images(images)
        seed = checks.as_many_rows("seed", seed, images=images)
        return self._sample_from(seed, self._latents(images), xla)

    def refine(self, seed, images, num_steps, xla=False):
        seed = checks.rows("seed", seed)
        images = self._check_images(images)
        steps = checks.rows("num_steps", num_steps)
        seed = checks.as_many_rows("seed", seed, images=images, num_steps=steps)
        steps = checks.in_range("num_steps", steps, 1, self.max_steps)
        steps = tf.cast(steps, tf.int32)
        return {"images": self._chains(seed, steps, initial=images, xla=xla)}

    def energy(self, images):
        return {"energy": self._energy(self._check_images(images))}

    def latents(self, images):
        return {"latents": self._latents(self._check_images(images))}

    def ood_score(self, images):
        images = self._check_images(images)
        score = self._energy(images, self._latents(images))
        if self.ood_threshold is None:
            return {"score": score}
        threshold = tf.fill(tf.shape(score), np.float32(self.ood_threshold))
        return {
            "score": score,
            "threshold": threshold,
            "is_ood": score > threshold,
        }

    @property
    def latent_dimension(self):
        """int. Dimension of the latents."""
        return self.model.encoder.output_shape[-1]

    def _spec(self, name):
        shape, dtype = {
            "images": (self.model.image_shape, tf.float32),
            "latents": ((self.latent_dimension,), tf.float32),
            "image_bytes": ((), tf.string),
        }.get(name, ((), tf.int64))
        return tf.TensorSpec([None, *shape], dtype, name)

    def _with_png(self, method, inputs):
        def twin(*tensors):
            outputs = method(
                *(
                    png.decode("image_bytes", tensor, self.model.image_shape)
                    if name == "images"
                    else tensor
                    for name, tensor in zip(inputs, tensors)
                )
            )
            if "images" in outputs:
                return {"image_bytes": png.encode(outputs["images"])}
            return outputs

        return twin, [
            "image_bytes" if name == "images" else name for name in inputs
        ]

    def _sample_from(self, seed, latents, xla):
        images = self._chains(seed, self.num_steps, latents=latents, xla=xla)
        return {"images": images}

    def _run_chains(self, seed, steps, initial=None, latents=None, xla=False):
        config = {**self.sampler.get_config(), "jit_compile": xla}
        sampler = type(self.sampler).from_config(config)
        return self.model.sample_rows(
            seed, steps, initial=initial, latents=latents, sampler=sampler
        )

    def _unit_latents(self, images):
        return unit(self.model.ema_encoder(images, training=False))

    def _check_images(self, images):
        images = checks.rows("images", images, *self.model.image_shape)
        return checks.in_range("images", images, 0, 1)

    def _check_class_latents(self, latents):
        if latents is None:
            return None
        latents = np.asarray(latents, "float64")
        if latents.ndim != 2 or latents.shape[1:] != (self.latent_dimension,):
            raise ValueError(
                "Expected `class_latents` of shape (classes, "
                f"{self.latent_dimension}); received: {latents.shape}."
            )
        norms = np.linalg.norm(latents, axis=-1, keepdims=True)
        valid = (norms > 0) & (norms < np.inf)
        if not (len(norms) and valid.all()):
            raise ValueError(
                "Expected `class_latents` finite and without zero vectors; "
                f"received vectors of lengths {norms[:, 0].tolist()}."
            )
        return (latents / norms).astype("float32")


def _sampler(sampler, temperature):
    """A sampler of another temperature."""
    if temperature is None:
        return sampler
    if not _is_number(temperature) or not 0 <= temperature < _LARGEST:
        raise ValueError(
            "Expected `langevin_temperature` to be at least 0 and finite; "
            f"received: {temperature!r}."
        )
    noise = math.sqrt(2.0 * sampler.step_size * temperature)
    return type(sampler).from_config(
        {**sampler.get_config(), "noise_scale": noise}
    )


def _check_steps(name, steps):
    # More would wrap around in the graph's int32, without a word.
    if not isinstance(steps, int) or not 1 <= steps < 2**31:
        raise ValueError(
            f"Expected `{name}` to be an int from 1 to 2**31 - 1; received: "
            f"{steps!r}."
        )
    return steps


def _check_threshold(threshold):
    if threshold is None:
        return None
    # As the graph has it: float32.
    if not _is_number(threshold) or not abs(threshold) < _LARGEST:
        raise ValueError(
            "Expected `ood_threshold` to be a finite float32; received: "
            f"{threshold!r}."
        )
    return float(threshold)


def _is_number(value):
    return isinstance(value, (int, float, np.integer, np.floating))
