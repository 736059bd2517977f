import copy
import json
import os
from typing import Any
from typing import NamedTuple

import keras
import tensorflow as tf

from clel_tf import losses
from clel_tf import optimizers
from clel_tf import random
from clel_tf import workers
from clel_tf.data.dequantize import dequantize
from clel_tf.layers.simclr_augmentation import SimCLRAugmentation
from clel_tf.models import preset_files
from clel_tf.models import replicas
from clel_tf.models.common import refresh_spectral
from clel_tf.models.inference_function import inference_function
from clel_tf.models.joint_energy_model import JointEnergyModel
from clel_tf.models.joint_energy_model import half_square
from clel_tf.models.joint_energy_model import unit
from clel_tf.models.moving_average import moving_copy
from clel_tf.models.moving_average import update_moving_copy
from clel_tf.models.vital_signs import VitalSigns
from clel_tf.ood.joint_energy import JointEnergy
from clel_tf.ood.marginal_energy import MarginalEnergy
from clel_tf.samplers import energies
from clel_tf.samplers.chain import root_mean_square
from clel_tf.samplers.compilation import halves_pay
from clel_tf.samplers.replay_buffer import ReplayBuffer
from clel_tf.samplers.sampler import first_value
from clel_tf.samplers.sgld import SGLD
from clel_tf.teachers.simclr import SimCLR
from clel_tf.teachers.teacher import Teacher

# What training has besides the terms of its losses.
_TRAINING = (
    "gradient_norm",
    "chain_gradient_norm",
    "chain_displacement",
    "chain_travel",
    "chain_saturation",
)


class StepKeys(NamedTuple):
    """One key for everything random in a step, in the order of its use."""

    dequantize: tf.Tensor
    buffer: tf.Tensor
    selection: tf.Tensor
    transition: tf.Tensor
    chain: tf.Tensor
    target: tf.Tensor
    first_view: tf.Tensor
    second_view: tf.Tensor
    teacher: tf.Tensor


@keras.saving.register_keras_serializable(package="clel_tf")
class CLEL(JointEnergyModel):
    """Energy-based model of images, guided by the latents of an encoder.

        E(x)    = |f(x)|**2 / 2
        E(x, z) = E(x) - beta cos(g(f(x)), z),    p(x, z) ~ exp(-E(x, z) / T)

    `f` and `g` are the energy network's two outputs and `z = h(x) / |h(x)|` the
    encoder's latent. One training step draws chains from the replay buffer,
    moves them by Langevin dynamics on `E(x)`, and then lowers the energy of
    data below that of the chains, aligns `g(f(x))` with the latent of an
    augmented view (CLEL's guidance), and trains the encoder as its teacher
    says, in CLEL itself by NT-Xent with the chains' latents as extra negatives:

        energy loss  = mean(E(x+) - E(x-)) + alpha mean(E(x+)**2 + E(x-)**2)
                       - beta mean cos(g(f(x+)), sg(h(t(x+))))
        encoder loss = NT-Xent(h(t(x+)), h(t'(x+)); sg(g(f(x-))))
                       + encoder_l2 / 2 |weights of h|**2

    Both networks have exponential moving averages; they are what `call`,
    `predict`, `sample`, `latents` and `score` use. Without an encoder it is a
    plain energy-based model, which has no latents.

    Built and compiled in the scope of a `tf.distribute.MirroredStrategy`, every
    replica has images and chains of its own, and a step is that of one device
    with all of them: losses and metrics are means over all rows, also where the
    last batch of an epoch falls unevenly. That takes a teacher that gathers
    latents, a `synchronized` encoder, and optimizers that do not clip: Keras
    clips each replica's gradients before it adds them.

    Args:
        energy_network: `keras.Model` from images to `(features, latent)`, such
            as `EnergyResNet`.
        encoder: `keras.Model` from images to embeddings of the latent's
            dimension, such as `ResNetEncoder`; or None, where `beta` is 0.
        teacher: `clel_tf.teachers.Teacher`, not another model's. Defaults to
            CLEL's, `SimCLR`.
        sampler: `SGLD`. Defaults to the paper's.
        replay_buffer: `ReplayBuffer`. Defaults to the paper's.
        augmentation: layer `(images, seed=key) -> images` giving the encoder's
            random views. Defaults to SimCLR's.
        chain_augmentation: layer of the same kind for the drawn chains, before
            they move on. Defaults to `augmentation`.
        chain_augmentation_probability: float in [0, 1]. Share of the drawn
            chains that are augmented.
        alpha: float >= 0. Weight of the energies' squares.
        beta: float >= 0. Weight of the latent alignment. Against the energy's
            own gradient it weighs `beta / (2 E)`.
        encoder_l2: float >= 0. L2 penalty `encoder_l2 / 2 * |w|**2` on all of
            the encoder's weights, in its loss as in the reference.
        ema_decay: float in [0, 1). Decay of the moving averages.
        ema_start: int. Steps before averaging; the averages are copies then.
        levels: int. Number of values of a pixel in uint8 images: training
            images are `(k + U) / levels` with uniform `U`.
        ood_score: `OODScore` of `clel_tf.ood`, which `score`, `is_ood` and
            exported samplers compute. Defaults to `JointEnergy`, without an
            encoder to `MarginalEnergy`. Another one may be set at any time, and
            forgets the threshold.
        ood_threshold: float or None. The score above which an image counts as
            out of distribution; see `calibrate_ood`.
        energy_scale: float. The usual marginal energy of data, of which the
            strength of guidance is a multiple; 0 where it is not known yet.
            Training keeps its moving average.
        recipe: dict or None. What `compile` and `clel-train` take when not told
            otherwise: "steps", "batch_size", "energy_optimizer",
            "encoder_optimizer" (see `clel_tf.presets`).
        seed: int. Seed of everything random in training.

    Example:

    >>> model = clel_tf.models.CLEL.from_preset("digits")
    >>> model.compile(total_steps=1)
    >>> images = clel_tf.data.load("digits").x_train[:64]
    >>> history = model.fit(images, batch_size=64, verbose=0)
    >>> model.sample(4, num_steps=2).shape
    (4, 8, 8, 1)
    >>> model.predict(images[:4], verbose=0).shape
    (4,)

    Reference:
        [Lee et al.: Guiding Energy-based Models via Contrastive Latent
        Variables, ICLR 2023](https://arxiv.org/abs/2303.03023)
    """

    def __init__(
        self,
        energy_network,
        encoder,
        teacher=None,
        sampler=None,
        replay_buffer=None,
        augmentation=None,
        chain_augmentation=None,
        chain_augmentation_probability=1.0,
        alpha=1.0,
        beta=0.01,
        encoder_l2=5e-4,
        ema_decay=0.998,
        ema_start=0,
        levels=256,
        ood_score=None,
        ood_threshold=None,
        energy_scale=0.0,
        recipe=None,
        seed=0,
        **kwargs,
    ):
        # Whatever the global policy is: precision is the networks' affair.
        super().__init__(dtype="float32", **kwargs)
        _check_networks(energy_network, encoder, teacher, beta)
        _check_numbers(alpha=alpha, beta=beta, encoder_l2=encoder_l2)
        _check_ranges(chain_augmentation_probability, ema_decay, levels)
        self.energy_network = energy_network
        self.encoder = encoder
        self.teacher: Any = None
        if encoder is not None:
            self.teacher = teacher or SimCLR()
            self.teacher.build_for(encoder)
        self.sampler = sampler or SGLD()
        self.replay_buffer = replay_buffer or ReplayBuffer()
        self.augmentation = augmentation or SimCLRAugmentation()
        self.chain_augmentation = chain_augmentation or self.augmentation
        self.chain_augmentation_probability = chain_augmentation_probability
        self.alpha = alpha
        self.beta = beta
        self.encoder_l2 = encoder_l2
        self.levels = levels
        usual = JointEnergy if encoder is not None else MarginalEnergy
        self.ood_score = ood_score or usual()
        if ood_threshold is not None:
            ood_threshold = float(ood_threshold)  # NumPy's is no JSON
        self.ood_threshold = ood_threshold
        self.recipe = copy.deepcopy(dict(recipe or {}))
        self.seed = seed
        self.image_shape = tuple(energy_network.input_shape[1:])

        self.ema_decay = ema_decay
        self.ema_start = ema_start
        self.ema_energy_network = moving_copy(energy_network)
        # What is not trained is its own average.
        self.ema_encoder = moving_copy(encoder) if self._learns else encoder
        if not self.replay_buffer.built:
            self.replay_buffer.build((None, *self.image_shape))
        self.step = self._counter("step")
        self.reseeds = self._counter("reseeds")
        self.skipped_steps = self._counter("skipped_steps")
        self.energy_scale = self.add_weight(
            name="energy_scale",
            shape=(),
            initializer=keras.initializers.Constant(energy_scale),
            trainable=False,
        )
        self.vital_signs = VitalSigns()
        self.encoder_optimizer: Any = None  # until `compile`
        self._terms = _terms(self.teacher)
        names = (*self._terms, *_TRAINING)
        self._trackers = [keras.metrics.Mean(name) for name in names]
        self.built = True

    @property
    def _learns(self):
        """Whether there is an encoder to train."""
        return self.teacher is not None and self.teacher.trains

    @property
    def _encoder_variables(self):
        """What the encoder's optimizer trains."""
        if not self._learns:
            return []
        own = self.teacher.trainable_variables
        return [*self.encoder.trainable_variables, *own]

    # === Training ===

    def compile(
        self,
        energy_optimizer=None,
        encoder_optimizer=None,
        total_steps=None,
        run_eagerly=False,
        steps_per_execution=1,
        jit_compile="auto",
    ):
        """Configures training.

        Args:
            energy_optimizer: Keras optimizer, name or config, or None for the
                recipe's. It becomes `model.optimizer`.
            encoder_optimizer: likewise, for the encoder and the teacher.
            total_steps: int or None. Length of the recipe's learning rate
                schedules; defaults to the recipe's "steps".
            run_eagerly: see `keras.Model.compile`.
            steps_per_execution: see `keras.Model.compile`.
            jit_compile: see `keras.Model.compile`.
        """
        defaults = optimizers.from_recipe(self.recipe, total_steps)
        super().compile(
            optimizer=keras.optimizers.get(energy_optimizer or defaults[0]),
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
        )
        self.encoder_optimizer = keras.optimizers.get(
            encoder_optimizer or defaults[1]
        )
        self.optimizer.build(self.energy_network.trainable_variables)
        self.encoder_optimizer.build(self._encoder_variables)
        self._compile_options = {
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": jit_compile,
        }

    def get_compile_config(self):
        if not self.compiled:
            return None
        return {
            "energy_optimizer": keras.optimizers.serialize(self.optimizer),
            "encoder_optimizer": keras.optimizers.serialize(
                self.encoder_optimizer
            ),
            **self._compile_options,
        }

    def compile_from_config(self, config):
        self.compile(**config)

    @property
    def metrics(self):
        return self._trackers

    def train_step(self, data):
        images, labels = self._unpack(data)
        keys = self._step_keys()
        positives = dequantize(images, self.levels, keys.dequantize)
        before = self._snapshot()
        rows = _count(positives)
        chains, info = self.negatives(keys, rows)
        terms, gradients = self._gradients(
            positives, chains.images, keys, labels
        )
        norm = self._apply(gradients)
        terms = _with_loss(terms)
        faults = self._faults(positives, chains.images, terms["loss"], norm)
        healthy = tf.equal(tf.reduce_sum(faults), 0)
        self._restore_unless(healthy, before)
        self._synchronize_statistics(rows)
        if self._learns:
            self.teacher.after_step(self.encoder, healthy)
        self.replay_buffer.write(chains, where=healthy)
        refresh_spectral(self.energy_network)
        self._update_energy_scale(terms["energy_positive"], healthy)
        self.update_moving_averages()
        self.step.assign_add(1)
        self.skipped_steps.assign_add(tf.cast(~healthy, tf.int64))
        means = {
            "chain_gradient_norm": tf.reduce_mean(info.gradient_norm),
            "chain_displacement": tf.reduce_mean(info.displacement),
            "chain_travel": tf.reduce_mean(chains.travel),
            "chain_saturation": _saturation(chains.images),
        }
        means = replicas.weighted(means, rows)
        values = {**terms, **means, "gradient_norm": norm}
        noise_scale = first_value(self.sampler.noise_scale)
        self.vital_signs.record(values, faults, self.step.value, noise_scale)
        return self._track(values)

    def _unpack(self, data):
        """Images, and labels if the teacher needs them."""
        images, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        if weights is not None:
            raise ValueError(
                "Expected neither `sample_weight` nor `class_weight`: the "
                "chains stand for all of the data alike. Repeat the images "
                "that are to count more. Received weights of shape "
                f"{tuple(weights.shape)}."
            )
        if not self._learns or not self.teacher.needs_labels:
            return images, None
        shape = None if labels is None else tuple(labels.shape)
        if shape is None or len(shape) != 1 or not labels.dtype.is_integer:
            raise ValueError(
                f"Expected images and labels, as `fit(x, y)` takes them, which "
                f"{type(self.teacher).__name__} needs: labels integers of "
                "shape (n,); received: "
                f"{'none' if shape is None else f'{labels.dtype} {shape}'}."
            )
        return images, labels

    def _gradients(self, positives, negatives, keys, labels=None):
        """The terms of both losses, and the gradients of both networks."""
        with tf.GradientTape() as tape:
            terms, latents = self._energy_terms(positives, negatives, keys)
            loss = terms["energy_loss"] / replicas.count()
        energy_gradients = _gradient(
            tape, loss, self.energy_network.trainable_variables
        )
        if not self._learns:
            return terms, (energy_gradients, [])
        # In turn, so that memory holds the activations of one network only.
        with (
            tf.control_dependencies(energy_gradients),
            tf.GradientTape() as tape,
        ):
            terms |= self._encoder_terms(positives, latents, keys, labels)
            loss = terms["encoder_loss"] / replicas.count()
        encoder_gradients = _gradient(tape, loss, self._encoder_variables)
        return terms, (energy_gradients, encoder_gradients)

    def _apply(self, gradients):
        """Updates both networks; returns the norm of all gradients."""
        for optimizer, variables, values in zip(
            (self.optimizer, self.encoder_optimizer),
            (self.energy_network.trainable_variables, self._encoder_variables),
            gradients,
        ):
            optimizer.apply(values, variables)
        gradients = [*gradients[0], *gradients[1]]
        if replicas.count() > 1:
            context = tf.distribute.get_replica_context()
            gradients = context.all_reduce("SUM", gradients)
        return tf.linalg.global_norm(gradients)

    def negatives(self, keys, batch_size):
        """Draws chains from the buffer and moves them; no weight is touched.

        Args:
            keys: `StepKeys`.
            batch_size: int or int32 scalar tensor.

        Returns:
            Tuple of moved `Chains`, not yet written back, and `LangevinInfo`.
        """
        chains = self.replay_buffer.draw(keys.buffer, batch_size)
        rows = tf.range(batch_size)
        start = self._transition(chains, keys, rows)
        chain_keys = random.fold_in(keys.chain, rows)
        images, info = self._move(start, chain_keys, chains.ages)
        moved = chains._replace(
            images=images,
            ages=chains.ages + self.sampler.num_steps,
            travel=root_mean_square(images - start),
        )
        return moved, info

    def _transition(self, chains, keys, rows):
        """The chains' images, some of them replaced by a random view."""
        if not self.chain_augmentation_probability:
            return chains.images
        # A chain just born is noise, of which no view is taken.
        return self.transition(
            chains.images,
            random.fold_in(keys.selection, rows),
            keys.transition,
            where=chains.ages > 0,
        )

    def _move(self, images, keys, ages):
        """Runs the live network's chains; gives images and `LangevinInfo`."""
        network = inference_function(self.energy_network)
        halved = halves_pay(self.sampler.jit_compile)
        marginal = energies.Marginal()
        sampler = self.sampler
        if isinstance(sampler, SGLD):
            scale = self.vital_signs.step_size_scale.value
            sampler = sampler.tabulated().scaled(scale)
        return self._run_chains(
            network,
            sampler,
            halved,
            marginal,
            images,
            keys,
            marginal.rows(keys),
            ages=ages,
        )

    def losses_of(self, positives, negatives, keys, labels=None):
        """The terms of both losses and what they are made of, as scalars.

        Those of the batch are their means over replicas, and their gradients
        the means of the gradients.
        """
        terms, latents = self._energy_terms(positives, negatives, keys)
        return terms | self._encoder_terms(positives, latents, keys, labels)

    def _energy_terms(self, positives, negatives, keys):
        """The energy loss's terms, and the latents of the negatives."""
        target = self._target(positives, keys.target)
        features, latents = self.energy_network(
            tf.concat([positives, negatives], axis=0), training=True
        )
        return self._energy_loss(features, latents, target, _count(positives))

    def _encoder_terms(self, positives, negative_latents, keys, labels=None):
        return self._encoder_loss(
            self.encoder, positives, negative_latents, keys[-3:], labels
        )

    def _target(self, images, key):
        """The latents that guide, of augmented views or as the teacher says."""
        if self.teacher is None:
            return None
        if self.teacher.augment:
            images = self.augmentation(images, seed=key)
        return self.teacher.target(self.encoder, images)

    def _energy_loss(self, features, latents, target, count):
        """The energy loss's terms, and the latents of the negatives.

        The first `count` rows are of the positives.
        """
        energies, latents = half_square(features), unit(latents)
        positive, negative = energies[:count], energies[count:]
        terms = {
            "energy_loss": losses.contrastive_divergence(
                positive, negative, self.alpha
            )
        }
        positive, negative = tf.reduce_mean(positive), tf.reduce_mean(negative)
        terms |= {
            "energy_positive": positive,
            "energy_negative": negative,
            "energy_gap": negative - positive,
        }
        if target is not None:
            similarity = losses.latent_alignment(latents[:count], target)
            terms["energy_loss"] -= self.beta * similarity
            terms["latent_similarity"] = similarity
        terms = replicas.weighted(terms, count)
        return terms, tf.stop_gradient(latents[count:])

    def _encoder_loss(
        self,
        encoder,
        images,
        negative_latents,
        keys,
        labels=None,
        training=True,
    ):
        """The encoder loss's terms, of the live encoder or its average.

        The keys are of both views and of the teacher.
        """
        if not self._learns:
            return {}
        loss = self.teacher.loss(
            encoder,
            [self.augmentation(images, seed=key) for key in keys[:2]],
            negatives=negative_latents,
            labels=labels,
            key=keys[2],
            training=training,
        )
        penalty = sum(
            tf.nn.l2_loss(w) for w in self.encoder.trainable_variables
        )
        terms = {
            "encoder_loss": loss + self.encoder_l2 * penalty,
            self.teacher.loss_name: loss,
        }
        return replicas.weighted(terms, _count(images))

    def _update_energy_scale(self, energy, healthy):
        context = tf.distribute.get_replica_context()
        energy = context.all_reduce("MEAN", energy)
        scale = self.energy_scale.value
        decay = tf.where(scale > 0.0, self._decay(), 0.0)
        averaged = energy + decay * (scale - energy)
        self.energy_scale.assign(tf.where(healthy, averaged, scale))

    def _decay(self):
        return tf.where(self.step.value < self.ema_start, 0.0, self.ema_decay)

    def update_moving_averages(self):
        decay = self._decay()
        update_moving_copy(self.energy_network, self.ema_energy_network, decay)
        if self._learns:
            update_moving_copy(self.encoder, self.ema_encoder, decay)

    def test_step(self, data):
        images, labels = self._unpack(data)
        positives = dequantize(images, self.levels)
        count = _count(positives)
        key = random.fold_in(random.as_key(self.seed), -1)
        chains = self.replay_buffer.draw(
            key,
            tf.minimum(count, self.replay_buffer.shard_capacity),
            restart=False,
        )
        keys = [random.fold_in(key, i) for i in (1, 2, 3)]
        target = None
        if self.teacher is not None:
            target = self.teacher.target(self.ema_encoder, positives, False)
        features, latents = self.ema_energy_network(
            tf.concat([positives, chains.images], axis=0)
        )
        terms, latents = self._energy_loss(features, latents, target, count)
        terms |= self._encoder_loss(
            self.ema_encoder, positives, latents, keys, labels, training=False
        )
        self._track(_with_loss(terms))
        # Means so far: `evaluate` reports what its last batch returns.
        trackers = self._trackers[: len(self._terms)]
        return _logs({t.name: t.result() for t in trackers})

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # The constructor builds everything. Keras would average a batch over
        # the replicas first, which those of several workers cannot with bytes.
        pass

    def _counter(self, name):
        return self.add_weight(
            name=name,
            shape=(),
            dtype="int64",
            initializer="zeros",
            trainable=False,
        )

    def _step_keys(self):
        context = tf.distribute.get_replica_context()
        key = random.as_key(self.seed)
        key = random.fold_in(key, self.reseeds.value)
        key = random.fold_in(key, self.step.value)
        key = random.fold_in(key, context.replica_id_in_sync_group)
        return StepKeys(
            *(random.fold_in(key, i) for i in range(len(StepKeys._fields)))
        )

    def _training_state(self):
        taught = []
        if self._learns:
            taught = self.encoder.variables + self.teacher.variables
        return (
            self.energy_network.variables
            + taught
            + self.optimizer.variables
            + self.encoder_optimizer.variables
        )

    def _snapshot(self):
        return [tf.identity(v.value) for v in self._training_state()]

    def _faults(self, images, chains, loss, gradient_norm):
        """On how many replicas each of `vital_signs.FAULTS` is not finite."""
        finite = [
            tf.reduce_all(tf.math.is_finite(values))
            for values in (images, chains, tf.stack([loss, gradient_norm]))
        ]
        # One replica's fault is every replica's: its gradients were summed in.
        return tf.distribute.get_replica_context().all_reduce(
            "SUM", tf.cast(~tf.stack(finite), tf.int32)
        )

    def _restore_unless(self, healthy, before):
        # A conditional around the update would do, were collective operations
        # allowed in one; selecting costs a copy of the weights.
        part = self.vital_signs.learning_rate_scale.value
        for variable, old in zip(self._training_state(), before):
            new = variable.value
            if variable.trainable:
                # A part of the change is the change at a part of the rate.
                softened = old + tf.cast(part, old.dtype) * (new - old)
                new = tf.where(part < 1.0, softened, new)
            variable.assign(tf.where(healthy, new, old))

    def _synchronize_statistics(self, rows):
        # Where each replica's batch normalisation has followed its own part of
        # the batch: what is averaged, saved and used for inference has to be
        # one.
        if not self._learns:
            return
        variables = [
            v
            for part in (self.encoder, self.teacher)
            for v in part.non_trainable_variables
            if keras.backend.is_float_dtype(v.dtype)  # no dropout's seed
        ]
        if replicas.count() > 1 and variables:
            context = tf.distribute.get_replica_context()
            parts = replicas.weighted([v.value for v in variables], rows)
            means = context.all_reduce("MEAN", parts)
            for variable, mean in zip(variables, means):
                variable.assign(mean)

    def _track(self, values):
        for tracker in self._trackers:
            if tracker.name in values:
                tracker.update_state(values[tracker.name])
        # Batch logs are this step's own values; `fit` averages them by epoch,
        # by reading the trackers.
        return _logs(
            {t.name: values[t.name] for t in self._trackers if t.name in values}
        )

    # === Saving ===

    def load_own_variables(self, store):
        own = {name: store[name] for name in store.keys()}
        if len(own) == 3:  # a file of before there was the energy's scale
            own["3"] = self.energy_scale.value
        super().load_own_variables(own)

    def get_config(self):
        parts = {name: getattr(self, name) for name in _PARTS}
        if self.chain_augmentation is self.augmentation:
            parts["chain_augmentation"] = None  # shared again when rebuilt
        return {
            **{
                k: keras.saving.serialize_keras_object(v)
                for k, v in parts.items()
            },
            **{name: getattr(self, name) for name in _SCALARS},
            "energy_scale": self.known_energy_scale(),
            # Keras's tracked dict would deep copy the whole model with it.
            "recipe": json.loads(json.dumps(self.recipe)),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        parts = {
            name: keras.saving.deserialize_keras_object(
                config[name], custom_objects=custom_objects
            )
            for name in _PARTS
            if name in config  # files may be older than a part
        }
        config = {**config, **parts}
        # Arguments of before there was a choice of teachers.
        of_teacher = {n: config.pop(n) for n in _OF_SIMCLR if n in config}
        if "teacher" not in config:
            config["teacher"] = SimCLR(**of_teacher)
        return cls(**config)

    @classmethod
    def from_preset(
        cls,
        preset: os.PathLike[str] | str,
        seed: int = 0,
        dtype: str | keras.DTypePolicy | None = None,
    ) -> "CLEL":
        """Builds a model from a preset.

        Args:
            preset: str. The name of a recipe ("digits"), giving an untrained
                model, or a directory that `save_to_preset` wrote, giving a
                trained one.
            seed: int. Seed of a recipe's initial weights and training; a
                directory holds its own.
            dtype: Keras dtype policy of the networks, "auto" for
                "mixed_bfloat16" where the device is fast at it, or None for a
                recipe's, which is "auto", and for the one a directory's model
                was trained in.

        Returns:
            `CLEL`.
        """
        return preset_files.load(cls, preset, seed, dtype)

    def save_to_preset(
        self,
        directory: os.PathLike[str] | str,
        about: dict | None = None,
        samples: int = 16,
    ) -> None:
        """Writes configuration and inference's weights, no training state.

        Those are the averaged networks', and what `ood_score` has learned.
        Beside them stand `card.json`, which tells what the model is, how it was
        trained and how it is sampled, and `samples.png`, what it draws.

        Args:
            directory: str. Must not exist; it appears complete or not at all.
            about: dict or None. What the card is to say besides: the data and
                its licence, figures, intended use. Anything that JSON holds.
            samples: int. Fresh samples in the picture; 0 for no picture.
        """
        preset_files.save(self, directory, about, samples)

    def export(self, filepath, format="tf_saved_model", **kwargs):
        """Exports `call`, images to energies; see `keras.Model.export`.

        Keras stores all variables of the model, the replay buffer's too;
        `clel_tf.export.export_sampler` stores what serving needs.
        """
        if kwargs.get("input_signature") is None:
            images = keras.InputSpec("float32", (None, *self.image_shape))
            kwargs["input_signature"] = [images]
        super().export(filepath, format, **kwargs)


_PARTS = (
    "energy_network",
    "encoder",
    "teacher",
    "sampler",
    "replay_buffer",
    "augmentation",
    "chain_augmentation",
    "ood_score",
)
_SCALARS = (
    "chain_augmentation_probability",
    "alpha",
    "beta",
    "encoder_l2",
    "ema_decay",
    "ema_start",
    "levels",
    "ood_threshold",
    "seed",
)
_OF_SIMCLR = ("temperature", "gather_latents")


def _terms(teacher):
    """Names of what a step is made of, in training and in validation."""
    names = ["loss", "energy_positive", "energy_negative", "energy_gap"]
    if teacher is None:
        return [*names, "energy_loss"]
    names.append("latent_similarity")
    if not teacher.trains:
        return [*names, "energy_loss"]
    return [*names, teacher.loss_name, "energy_loss", "encoder_loss"]


def _gradient(tape, loss, variables):
    """A loss's gradient; 0 of what it does not depend on.

    Such as, without a teacher, the head of the energy network's latents.
    """
    return [
        tf.zeros_like(variable.value) if gradient is None else gradient
        for variable, gradient in zip(variables, tape.gradient(loss, variables))
    ]


def _with_loss(terms):
    # What callbacks watch by default, such as TerminateOnNaN.
    loss = terms["energy_loss"] + terms.get("encoder_loss", 0.0)
    return {"loss": loss, **terms}


def _count(images):
    """Number of images: an int where it is known, else a tensor."""
    return images.shape[0] or tf.shape(images)[0]


def _logs(values):
    """A step's values as Keras takes them from a replica."""
    if workers.are_several(tf.distribute.get_strategy()):
        # Keras 3.15 averages over the first axis there.
        return {name: value[tf.newaxis] for name, value in values.items()}
    return values


def _saturation(images):
    """Share of the pixels that are 0 or 1."""
    return tf.reduce_mean(tf.cast((images <= 0.0) | (images >= 1.0), "float32"))


def _check_networks(energy_network, encoder, teacher, beta):
    if encoder is None:
        if teacher is not None or beta:
            raise ValueError(
                "Expected no teacher, and `beta` 0, where there is no encoder; "
                f"received: {teacher!r}, beta {beta!r}."
            )
        return
    if not isinstance(teacher, (Teacher, type(None))):
        raise TypeError(
            f"Expected `teacher` of `clel_tf.teachers`; received: {teacher!r}."
        )
    if energy_network.input_shape != encoder.input_shape:
        raise ValueError(
            "Expected networks of one image shape; received: energy network "
            f"{energy_network.input_shape}, encoder {encoder.input_shape}."
        )
    latent, embedding = energy_network.output_shape[1], encoder.output_shape
    if len(embedding) != 2:
        raise ValueError(
            "Expected an encoder of vectors, an output of shape (None, d); "
            f"received: {embedding}."
        )
    if latent[-1] != embedding[-1]:
        raise ValueError(
            "Expected one latent dimension; received: energy network "
            f"{latent[-1]}, encoder {embedding[-1]}."
        )


def _check_numbers(**values):
    for name, value in values.items():
        if not value >= 0:
            raise ValueError(
                f"Expected `{name}` to be at least 0; received: {value!r}."
            )


def _check_ranges(probability, ema_decay, levels):
    for name, value, valid, expected in (
        (
            "chain_augmentation_probability",
            probability,
            0 <= probability <= 1,
            "in [0, 1]",
        ),
        ("ema_decay", ema_decay, 0 <= ema_decay < 1, "in [0, 1)"),
        ("levels", levels, levels in range(2, 257), "an int in [2, 256]"),
    ):
        if not valid:
            raise ValueError(
                f"Expected `{name}` to be {expected}; received: {value!r}."
            )
