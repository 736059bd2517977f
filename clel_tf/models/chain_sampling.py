import functools
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from clel_tf import random
from clel_tf.data.dequantize import dequantize
from clel_tf.layers.random_image_layer import per_image
from clel_tf.models.common import check_images
from clel_tf.models.common import graph
from clel_tf.models.inference_function import inference_function
from clel_tf.samplers import diagnostics
from clel_tf.samplers import energies
from clel_tf.samplers.candidates import Candidates
from clel_tf.samplers.compilation import chunk_size
from clel_tf.samplers.compilation import halves_pay
from clel_tf.samplers.compilation import in_halves
from clel_tf.samplers.compilation import resolve_jit_compile
from clel_tf.samplers.compilation import rows_in_chunks
from clel_tf.samplers.compilation import rows_of
from clel_tf.samplers.sampler import Sampler

_GRAPHS = 64  # structures of energies whose graphs are kept


class ChainSampling:
    """The chains of a model: how it draws images from an energy.

    A part of `JointEnergyModel`, which says what a model has to set.
    """

    ema_energy_network: keras.Model
    encoder: keras.Model
    sampler: Sampler
    chain_augmentation: keras.layers.Layer
    chain_augmentation_probability: float
    beta: float
    levels: int
    image_shape: tuple[int, ...]
    known_energy_scale: Callable[[], float]

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        # A graph for each structure of an energy, not for each energy.
        self._sampling_graph = functools.lru_cache(_GRAPHS)(self._make_graph)
        self._compiled_round = graph(self._next_round)

    def sample(
        self,
        n: int,
        *,
        latents: ArrayLike | None = None,
        energy: energies.Term | Callable | None = None,
        initial: ArrayLike | None = None,
        num_steps: int | None = None,
        seed: int = 0,
        batch_size: int | None = None,
        sampler: Sampler | None = None,
        candidates: int | Candidates | None = None,
        rounds: int = 1,
        final_steps: int = 0,
    ) -> np.ndarray:
        """Draws images by Langevin dynamics with the averaged energy network.

        Row `i` draws from seed `row_seeds(seed, n)[i]` alone: asking for more
        rows, or another `batch_size`, changes the others by rounding only
        (bfloat16's, where the network computes in it).

        Args:
            n: int. Number of images.
            latents: None, or float array `(n, d)` or `(d,)`: images guided by
                these latents at the usual strength, `guidance(latents)`.
            energy: None for the marginal energy; an energy of
                `clel_tf.samplers.energies`, or guidance terms, to which the
                marginal is added; or a function of float32 images `(m, ...)`
                giving energies `(m,)`, each from its row alone, which is
                sampled instead of the model's.
            initial: None for uniform noise, or images `(n, ...)` to start from.
            num_steps: int or None for the sampler's `sample_steps`.
            seed: int.
            batch_size: int or None. Images at a time; None picks what the
                device is fast at.
            sampler: None for the model's, or another, such as `MALA`.
            candidates: int or `Candidates`: chains that each row begins as, of
                which one goes on. None for the usual `Candidates` where latents
                or measurements guide chains from noise, and else for 1.
            rounds: int >= 1. Rounds of steps, of which each but the first
                begins with an augmented view of its chains, drawn by
                `chain_augmentation`; schedules begin anew.
            final_steps: int. Steps of `num_steps` that follow on the last
                round, without a view, so that none is left in the images.

        Returns:
            float32 NumPy array `(n, height, width, channels)`, in [0, 1].
        """
        sampler = sampler or self.sampler
        steps = sampler.sample_steps if num_steps is None else num_steps
        batch = 1 if batch_size is None else batch_size
        _check_counts(n=n, batch_size=batch, rounds=rounds)
        energy = self._energy_to_sample(energy, latents)
        images = self._check_initial(initial, n)
        candidates = _as_candidates(candidates, energy, images)
        setting = self.setting(sampler, max(steps, 1))
        energy.check(setting)
        first = candidates.steps_of(steps) if candidates.count > 1 else 0
        stretches = self.stretches(steps - first, rounds, final_steps)
        seeds = random.row_seeds(seed, n)
        chunk = batch_size or chunk_size(self.image_shape)
        term_rows = self.term_rows(energy, random.as_key(seeds), setting)
        run = functools.partial(
            self._sample_chunks, energy.structure, term_rows, sampler, seeds
        )
        if first:
            chunk_of_candidates = max(chunk // candidates.count, 1)
            images = run(None, first, chunk_of_candidates, candidates)
        for i, count in enumerate(stretches):
            if i:
                key = random.fold_in(random.as_key(seed), -i)
                images = self._compiled_round(images, key).numpy()
            images = run(
                images, count, chunk, stretch=i, first_step=0 if i else first
            )
        return images

    def _sample_chunks(
        self,
        structure,
        term_rows,
        sampler,
        seeds,
        initial,
        steps,
        size,
        candidates=None,
        stretch=0,
        first_step=0,
    ):
        """One stretch of all chains, or their beginning as candidates."""
        rows = {
            "seeds": seeds,
            "initial": initial,
            "rows": tf.nest.map_structure(np.asarray, term_rows),
        }
        padded = resolve_jit_compile(sampler.jit_compile)
        images = []
        for chunk in rows_in_chunks(len(seeds), size, padded):
            # Of one row, both halves would be the row itself.
            halved = halves_pay(sampler.jit_compile) and len(chunk) > 1
            chain = self._sampling_graph(structure, sampler, halved, candidates)
            # As tensors: numbers would be a part of the graph.
            arguments = tf.nest.map_structure(_tensor, rows_of(rows, chunk))
            counts = {
                "num_steps": steps,
                "stretch": stretch,
                "first_step": first_step,
            }
            arguments |= {k: tf.constant(v) for k, v in counts.items()}
            images.append(chain(**arguments))
        return np.concatenate([x.numpy() for x in images])[: len(seeds)]

    def _make_graph(self, energy, sampler, halved, candidates):
        return graph(
            functools.partial(
                self.sample_rows,
                energy=energy,
                sampler=sampler,
                halved=halved,
                candidates=candidates,
            )
        )

    def sample_rows(
        self,
        seeds,
        num_steps,
        initial=None,
        energy=None,
        rows=None,
        sampler=None,
        halved=False,
        stretch=0,
        first_step=0,
        candidates=None,
    ):
        """The graph of `sample`: row seeds `(n,)` int64 to images `(n, ...)`.

        What an exported sampler serves; arguments are tensors as in `sample`.

        Args:
            seeds: int64 tensor `(n,)`.
            num_steps: int32 tensor, a scalar or `(n,)`.
            initial: None or float32 tensor `(n, ...)`.
            energy: None or an `energies.Energy`, of tensors too.
            rows: None for an energy of no tensors, or what `term_rows` gave.
            sampler: None or another than the model's.
            halved: bool. Whether two halves of the rows run at the same time
                (see `clel_tf.samplers.in_halves`).
            stretch: int or tensor. Which of several stretches of one chain it
                is; each has its own noise.
            first_step: int or tensor. Steps that schedules take as made before.
            candidates: None, or `Candidates` for the beginning of the chains:
                gives the chosen ones after `num_steps`.

        Returns:
            float32 tensor `(n, ...)`.
        """
        keys = random.as_key(seeds)
        energy = energy or energies.Marginal()
        if rows is None:
            rows = energy.rows(random.fold_in(keys, 2))
        sampler = sampler or self.sampler
        network = inference_function(self.ema_energy_network)
        chains = network, sampler, halved, energy
        if candidates is not None:
            return self._best_candidates(
                *chains, candidates, keys, rows, num_steps
            )
        if initial is None:
            initial = random.uniform(random.fold_in(keys, 0), self.image_shape)
        # 0 is the start's, 2 the terms', 4 the candidates'; odd ones chains'.
        keys = random.fold_in(keys, 1 + 2 * stretch)
        return self._run_chains(
            *chains, initial, keys, rows, num_steps, first_step
        )[0]

    def _run_chains(
        self,
        network,
        sampler,
        halved,
        energy,
        initial,
        keys,
        rows,
        num_steps=None,
        first_step=0,
        leading=False,
        ages=None,
    ):
        """Images and what the last step saw of chains with one network."""

        def run(initial, keys, rows, ages):
            aged = sampler if ages is None else sampler.aged(ages)
            bound = energies.Bound(
                energy, rows, network, sampler.langevin_temperature, leading
            )
            return aged.run(
                bound, initial, keys, num_steps, bound.project, first_step
            )

        if halved:
            return in_halves(run, initial, keys, rows, ages)
        return run(initial, keys, rows, ages)

    def _best_candidates(
        self,
        network,
        sampler,
        halved,
        energy,
        candidates,
        keys,
        rows,
        num_steps,
    ):
        """Each row's chain, drawn from several by their guidance."""
        count, temperature = candidates.count, sampler.langevin_temperature
        each = random.fold_in(keys, 4)[:, tf.newaxis]
        each = tf.reshape(random.fold_in(each, tf.range(count)), [-1])
        rows = tf.nest.map_structure(
            lambda x: tf.repeat(x, count, axis=0), rows
        )
        images, _ = self._run_chains(
            network,
            sampler,
            halved,
            energy,
            random.uniform(random.fold_in(each, 0), self.image_shape),
            random.fold_in(each, 1),
            rows,
            num_steps,
            leading=True,
        )
        bound = energies.Bound(energy, rows, network, temperature)
        # The largest of logits and Gumbel noise is a draw by the logits; here
        # both are times T, which may be 0.
        drawn = random.uniform(random.fold_in(each, 2)) + 2.0**-25
        gumbel = -tf.math.log(-tf.math.log(drawn))
        scores = temperature * gumbel - bound.guidance(images)
        chosen = tf.argmax(
            tf.reshape(scores, [-1, count]), axis=-1, output_type=tf.int32
        )
        images = tf.reshape(images, [-1, count, *self.image_shape])
        return tf.gather(images, chosen, batch_dims=1)

    def trace(
        self,
        n: int,
        *,
        energy: energies.Term | Callable | None = None,
        initial: ArrayLike | None = None,
        num_steps: int | None = None,
        seed: int = 0,
        every: int = 1,
        sampler: Sampler | None = None,
    ) -> diagnostics.Trace:
        """Follows the chains of `sample`: what tells whether to trust them.

        Args:
            n: int. Number of chains, run together.
            energy: see `sample`.
            initial: see `sample`.
            num_steps: see `sample`.
            seed: see `sample`.
            every: int >= 1. Steps between two records.
            sampler: see `sample`.

        Returns:
            `clel_tf.samplers.diagnostics.Trace`, whose last images are those of
            `sample` with `candidates=1`.
        """
        sampler = sampler or self.sampler
        steps = sampler.sample_steps if num_steps is None else num_steps
        _check_counts(n=n)
        energy = self._energy_to_sample(energy)
        setting = self.setting(sampler, max(steps, 1))
        energy.check(setting)
        keys = random.as_key(random.row_seeds(seed, n))
        initial = self._check_initial(initial, n)
        if initial is None:
            initial = random.uniform(random.fold_in(keys, 0), self.image_shape)
        bound = energies.Bound(
            energy.structure,
            self.term_rows(energy, keys, setting),
            inference_function(self.ema_energy_network),
            sampler.langevin_temperature,
        )
        return diagnostics.trace(
            sampler,
            bound,
            initial,
            random.fold_in(keys, 1),
            steps,
            every,
            project=bound.project,
        )

    def components(
        self, energy: energies.Term, n: int, seed: int = 0
    ) -> list[np.ndarray]:
        """Which term of an OR each sample follows.

        Args:
            energy: what `sample` takes, with an `energies.Either` in it.
            n: int. Number of samples.
            seed: int. Their seed.

        Returns:
            List of int32 arrays `(n,)`, places in the `terms` of each `Either`
            of the energy, in the order in which they stand there.
        """
        energy = self._energy_to_sample(energy)
        keys = random.as_key(random.row_seeds(seed, n))
        setting = self.setting(self.sampler, 1)
        found, left = [], [self.term_rows(energy, keys, setting)]
        while left:
            own, terms = left.pop(0)
            if "component" in own:
                found.append(np.asarray(own["component"]))
            left = [*terms, *left]
        return found

    def term_rows(self, energy, keys, setting):
        """The tensors of an energy, one a row; see `energies.Term.rows`.

        Args:
            energy: `energies.Energy`.
            keys: uint64 tensor `(n,)`, of the rows' seeds.
            setting: `energies.Setting` of the chains.
        """
        return energy.rows(random.fold_in(keys, 2), setting)

    def setting(self, sampler, num_steps):
        """The `energies.Setting` of a sampler's chains on this model."""
        return energies.Setting(
            image_shape=self.image_shape,
            latent_dim=self.encoder and self.encoder.output_shape[-1],
            energy_scale=self.known_energy_scale(),
            temperature=sampler.langevin_temperature,
            step_size=sampler.largest_step_size(num_steps),
        )

    def _next_round(self, images, key):
        keys = random.fold_in(key, tf.range(tf.shape(images)[0]))
        return self.transition(images, keys, random.fold_in(key, -1))

    def transition(self, images, keys, key, where=True):
        """Images, some of them replaced by a random view of themselves.

        Args:
            images: float32 tensor `(n, ...)`.
            keys: uint64 tensor `(n,)`, a key a row, to choose the rows.
            key: uint64 scalar tensor, of the views.
            where: bool tensor `(n,)`. Rows that may be chosen.

        Returns:
            float32 tensor `(n, ...)`.
        """
        chosen = random.uniform(keys) < self.chain_augmentation_probability
        return tf.where(
            per_image(chosen & where),
            self.chain_augmentation(images, seed=key),
            images,
        )

    def guidance(
        self, latents: ArrayLike, ratio: float | None = None
    ) -> energies.Conditional:
        """Guidance by latents at the usual strength.

        Args:
            latents: float array `(d,)`, or `(n, d)` for one a row.
            ratio: float >= 0 or None; see `energies.Conditional`.

        Returns:
            `energies.Conditional`; of training's `beta`, where neither `ratio`
            is given nor the energy's scale known.
        """
        if ratio is None and not self.known_energy_scale() > 0:
            return energies.Conditional(latents, beta=self.beta)
        return energies.Conditional(latents, ratio)

    def _energy_to_sample(self, energy, latents=None) -> energies.Energy:
        """What is asked for, as an `Energy`."""
        if latents is not None:
            if energy is not None:
                raise ValueError(
                    "Expected `latents` or `energy`, of which one defines the "
                    "energy to sample; received both."
                )
            energy = self.guidance(latents)
        if energy is None:
            return energies.Marginal()
        if isinstance(energy, energies.Guidance):
            return energies.Marginal() + energy
        if isinstance(energy, energies.Energy):
            return energy
        return energies.WithoutPrior([energies.Function(energy)])

    def _check_initial(self, initial, n):
        if initial is None:
            return None
        initial = check_images(initial, self.image_shape, self.levels, n)
        return np.asarray(dequantize(initial, self.levels))

    def stretches(self, steps, rounds, final_steps):
        """Numbers of steps between augmented views of the chains."""
        if not isinstance(steps, (int, np.integer)) or steps < 0:
            raise ValueError(
                "Expected `num_steps` to be an int of at least 0; received: "
                f"{steps!r}."
            )
        if not 0 <= final_steps <= steps:
            raise ValueError(
                f"Expected `final_steps` in [0, {steps}], the number of steps; "
                f"received: {final_steps!r}."
            )
        if rounds > 1 and not self.chain_augmentation_probability:
            raise ValueError(
                "Expected a model whose chains are augmented, for several "
                "rounds; received `chain_augmentation_probability` 0."
            )
        bounds = np.arange(rounds + 1) * (steps - final_steps) // rounds
        bounds[-1] = steps
        return np.diff(bounds).tolist()


def _as_candidates(candidates, energy, initial) -> Candidates:
    """The `Candidates` that are asked for, or the usual ones."""
    if candidates is None:
        guided = energy.leads and initial is None
        candidates = Candidates() if guided else 1
    if not isinstance(candidates, Candidates):
        candidates = Candidates(candidates)
    if candidates.count == 1:
        return Candidates(1)
    if initial is not None:
        raise ValueError(
            "Expected `candidates` for chains from noise only, or `initial`; "
            "received both."
        )
    return candidates


def _check_counts(**counts):
    for name, count in counts.items():
        if not isinstance(count, (int, np.integer)) or count < 1:
            raise ValueError(
                f"Expected `{name}` to be a positive int; received: {count!r}."
            )


def _tensor(value):
    return None if value is None else tf.constant(value)
