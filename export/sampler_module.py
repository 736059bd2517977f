import functools
import math
import re

import numpy as np
import tensorflow as tf

from clel_tf import random
from clel_tf.backend import require_tensorflow
from clel_tf.export import checks
from clel_tf.export import png
from clel_tf.samplers import SGLD
from clel_tf.samplers import Candidates
from clel_tf.samplers import energies as algebra

_LARGEST = np.finfo("float32").max
_CHAINS = (
    "sample",
    "sample_conditional",
    "sample_class",
    "sample_like",
    "sample_composed",
    "inpaint",
    "refine",
)


class SamplerModule:
    """What a served sampler computes: graph functions of batches of rows.

        sample(seed)                      -> images
        sample_conditional(seed, latents) -> images, guided by latents
        sample_class(seed, class_id)      -> images, by a class's latent
        sample_like(seed, images)         -> images, by these images' latents
        sample_composed(seed, weights)    -> images, by several classes (AND,
                                             NOT where a weight is negative)
        inpaint(seed, images, mask)       -> images, of given pixels
        refine(seed, images, num_steps)   -> images, of chains that start there
        energy(images)                    -> energy
        latents(images)                   -> latents
        ood_score(images)                 -> score [, threshold, is_ood]

    Each has a twin, such as `sample_png`, that takes and gives `image_bytes`,
    PNG files, where it takes and gives `images`, float32 in [0, 1] (of one,
    three or four channels). `score` is the model's `ood_score`.

    A model without an encoder has no signatures with latents, classes or images
    to be like.

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
            class. Without them there is no `sample_class`, nor
            `sample_composed`.
        ratio: float >= 0 or None. Strength of guidance by latents, in multiples
            of the energy's own pull; None for the usual one (see
            `CLEL.guidance`).
        candidates: int, `Candidates` or None for the usual ones. Chains that a
            row of a signature with guidance by latents begins as.
        energies: None, or dict from names to energies of
            `clel_tf.samplers.energies`, of tensors that are the same in all
            rows: each is served as `sample_NAME(seed)`.
        ood_threshold: float or None for the model's own, which
            `CLEL.calibrate_ood` sets. Scores above it are `is_ood`. Where there
            is none, `ood_score` gives scores only.
        xla: bool. Whether there are further signatures, `sample_xla` and its
            kind, whose chains XLA compiles. TensorFlow Serving refuses to run
            these, unless started with `--xla_cpu_compilation_enabled`.

    Raises:
        ValueError: if an argument does not fit, or the model's `ood_score` has
            still to learn of training images.
    """

    def __init__(
        self,
        model,
        num_steps=None,
        max_steps=None,
        langevin_temperature=None,
        class_latents=None,
        ood_threshold=None,
        ratio=None,
        candidates=None,
        energies=None,
        xla=False,
    ):
        require_tensorflow("SamplerModule")
        if num_steps is None:
            num_steps = model.sampler.sample_steps
        if ood_threshold is None:
            ood_threshold = model.ood_threshold
        model.ood_score.check_adapted()
        self.model = model
        self._score = model.ood_score
        self.num_steps = _check_steps("num_steps", num_steps)
        if max_steps is None:
            max_steps = num_steps
        self.max_steps = _check_steps("max_steps", max_steps)
        self.sampler = _sampler(model.sampler, langevin_temperature)
        # Read now: what graphs read of the model, they hold.
        self._setting = model.setting(self.sampler, self.num_steps)
        self.class_latents = self._check_class_latents(class_latents)
        self.ood_threshold = _check_threshold(ood_threshold)
        self.ratio = ratio
        self.candidates = _check_candidates(candidates)
        if self.latent_dimension is not None:
            strength = model.guidance(np.ones(self.latent_dimension), ratio)
            self._strength = {"ratio": strength.ratio, "beta": strength.beta}
            strength.check(self._setting)
        self.energies = self._check_energies(energies or {})
        self.xla = xla
        # Shared by the signatures, so that a file holds each graph once.
        self._chains_of = functools.lru_cache(None)(self._make_chains)
        self._energy = tf.function(model.energy, autograph=False)
        self._latents = tf.function(model.unit_latents, autograph=False)
        self._scores = tf.function(self._score_rows, autograph=False)

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
            "sample_composed": (self.sample_composed, ["seed", "weights"]),
            **{
                f"sample_{name}": (self._signature_of(energy), ["seed"])
                for name, energy in self.energies.items()
            },
            "inpaint": (self.inpaint, ["seed", "images", "mask"]),
            "refine": (self.refine, ["seed", "images", "num_steps"]),
            "energy": (self.energy, ["images"]),
            "latents": (self.latents, ["images"]),
            "ood_score": (self.ood_score, ["images"]),
        }
        if self.class_latents is None:
            del methods["sample_class"], methods["sample_composed"]
        if self.latent_dimension is None:
            for name in ("sample_conditional", "sample_like", "latents"):
                del methods[name]
        if self.xla:
            chains = {*_CHAINS, *(f"sample_{name}" for name in self.energies)}
            for name in [name for name in methods if name in chains]:
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
        return self._sample_energy(seed, algebra.Marginal(), xla)

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

    def sample_composed(self, seed, weights, xla=False):
        count = len(self.class_latents)
        seed = checks.rows("seed", seed)
        weights = checks.rows("weights", weights, count)
        seed = checks.as_many_rows("seed", seed, weights=weights)
        weights = checks.in_range("weights", weights, -_LARGEST, _LARGEST)
        towards = [
            algebra.Conditional(z, **self._strength) for z in self.class_latents
        ]
        composed = algebra.WeightedSum(
            [*towards, *(~term for term in towards)],
            tf.nn.relu(tf.concat([weights, -weights], axis=-1)),
        )
        return self._sample_energy(seed, algebra.Marginal([composed]), xla)

    def inpaint(self, seed, images, mask, xla=False):
        seed = checks.rows("seed", seed)
        images = self._check_images(images)
        mask = checks.rows("mask", mask, *self.model.image_shape[:2], 1)
        seed = checks.as_many_rows("seed", seed, images=images, mask=mask)
        mask = checks.in_range("mask", mask, 0, 1)
        term = algebra.Inpaint(images, mask)
        return self._sample_energy(seed, algebra.Marginal([term]), xla)

    def refine(self, seed, images, num_steps, xla=False):
        seed = checks.rows("seed", seed)
        images = self._check_images(images)
        steps = checks.rows("num_steps", num_steps)
        seed = checks.as_many_rows("seed", seed, images=images, num_steps=steps)
        steps = checks.in_range("num_steps", steps, 1, self.max_steps)
        chains = self._chains_of(algebra.Marginal())
        steps = tf.cast(steps, tf.int32)
        return {"images": chains(seed, steps, initial=images, xla=xla)}

    def energy(self, images):
        return {"energy": self._energy(self._check_images(images))}

    def latents(self, images):
        return {"latents": self._latents(self._check_images(images))}

    def ood_score(self, images):
        score = self._scores(self._check_images(images))
        if self.ood_threshold is None:
            return {"score": score}
        threshold = tf.fill(tf.shape(score), np.float32(self.ood_threshold))
        return {
            "score": score,
            "threshold": threshold,
            "is_ood": score > threshold,
        }

    @property
    def candidate_steps(self):
        """int. Steps of guided chains before one of the candidates is drawn."""
        if self.candidates.count == 1:
            return 0
        return self.candidates.steps_of(self.num_steps)

    @property
    def latent_dimension(self):
        """int. Dimension of the latents; None of a model without."""
        return self._setting.latent_dim

    def _spec(self, name):
        shape, dtype = {
            "images": (self.model.image_shape, tf.float32),
            "latents": ((self.latent_dimension,), tf.float32),
            "weights": (np.shape(self.class_latents)[:1], tf.float32),
            "mask": ((*self.model.image_shape[:2], 1), tf.float32),
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
        term = algebra.Conditional(latents, **self._strength)
        return self._sample_energy(seed, algebra.Marginal([term]), xla)

    def _sample_energy(self, seed, energy, xla=False):
        keys = random.as_key(seed)
        rows = self.model.term_rows(energy, keys, self._setting)
        # Tensors are arguments, so that signatures of one structure share it.
        chains = self._chains_of(energy.structure)
        return {"images": chains(seed, self.num_steps, rows=rows, xla=xla)}

    # No partial functions: a file would have to hold the energies in them.
    def _signature_of(self, energy):
        def sample(seed, xla=False):
            return self._sample_energy(checks.rows("seed", seed), energy, xla)

        return sample

    def _make_chains(self, energy):
        def run(seed, steps, initial=None, rows=None, xla=False):
            return self._run_chains(seed, steps, energy, initial, rows, xla)

        return tf.function(run, autograph=False)

    def _run_chains(
        self, seed, steps, energy, initial=None, rows=None, xla=False
    ):
        config = {**self.sampler.get_config(), "jit_compile": xla}
        run = functools.partial(
            self.model.sample_rows,
            seed,
            energy=energy,
            rows=rows,
            sampler=type(self.sampler).from_config(config),
        )
        first = self.candidate_steps if energy.leads else 0
        if first:
            initial = run(first, candidates=self.candidates)
        return run(steps - first, initial=initial, first_step=first)

    def _score_rows(self, images):
        return self._score.score_rows(self.model, images)

    def _check_images(self, images):
        images = checks.rows("images", images, *self.model.image_shape)
        return checks.in_range("images", images, 0, 1)

    def _check_energies(self, energies):
        for name, energy in energies.items():
            if not re.fullmatch("[a-z][a-z0-9_]*", name):
                raise ValueError(
                    "Expected names of energies in lower case letters, digits "
                    f"and `_`; received: {name!r}."
                )
            twin = name.endswith(("png", "xla"))
            if f"sample_{name}" in _CHAINS or twin:
                raise ValueError(
                    f"Expected another name than {name!r}: sample_{name} is "
                    "a signature of every export, or looks like a twin of PNG "
                    "files or XLA."
                )
            energy.check(self._setting)
            for count in (1, 2):  # any number of rows will do
                energy.rows(random.as_key(np.arange(count)), self._setting)
        return {
            name: algebra.Marginal([energy])
            if isinstance(energy, algebra.Guidance)
            else energy
            for name, energy in energies.items()
        }

    def _check_class_latents(self, latents):
        if latents is None:
            return None
        self.model.check_latents()
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
    if not (isinstance(sampler, SGLD) and _is_number(sampler.step_size)):
        raise ValueError(
            "Expected chains of SGLD with a constant step, to give them "
            f"another temperature; received: {sampler.get_config()}."
        )
    noise = math.sqrt(2.0 * sampler.step_size * temperature)
    return SGLD(**{**sampler.get_config(), "noise_scale": noise})


def _check_candidates(candidates):
    if candidates is None:
        return Candidates()
    if isinstance(candidates, Candidates):
        return candidates
    return Candidates(candidates)


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
