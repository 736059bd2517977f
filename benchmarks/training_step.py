"""The time of a whole training step, and of its parts."""

import contextlib
from unittest import mock

import numpy as np
import tensorflow as tf
import timing

from clel_tf import presets
from clel_tf.samplers import Chains
from clel_tf.samplers.langevin import LangevinInfo

# The parts that are timed alone; the first is the whole step as Keras runs it.
STEP = "whole step"
CHAIN = "chain"
LOSSES = ("energy loss and gradient", "encoder loss and gradient")
OTHER = "all else"
DIFFERENCE = "all else, as the difference"


def measure(scale):
    """Times training steps by phase.

    Args:
        scale: `scales.Scale`.

    Returns:
        dict: "phases", a list of rows; "other_share_of_step", of the scale's
        first preset.
    """
    rows, shares = [], []
    for preset, batch, rounds in scale.training:
        model = presets.build(presets.get(preset))
        model.compile()
        seconds = timing.interleaved(phases(model, batch), rounds)
        shares.append(timing.ratio(seconds[OTHER], seconds[STEP]))
        rows += _rows(preset, batch, seconds)
    return {"phases": rows, "other_share_of_step": shares[0]}


def phases(model, batch):
    """Functions without arguments, each of which runs a part of a step.

    Every part is the model's own code, compiled alone, and gives a scalar that
    needs all of its results. All else is the step itself with constants in
    place of the moved chains and of the gradients.

    Args:
        model: compiled `CLEL`.
        batch: int.

    Returns:
        dict from names to functions.
    """
    generator = np.random.default_rng(0)
    shape = (batch, *model.image_shape)
    pixels = generator.integers(model.levels, size=shape, dtype=np.uint8)
    images = tf.constant(generator.random(shape, "float32"))
    negatives = tf.constant(generator.random(shape, "float32"))
    latents = tf.constant(generator.normal(size=(batch, _dimension(model))))
    latents = tf.math.l2_normalize(tf.cast(latents, "float32"), axis=-1)
    keys = model._step_keys()

    def energy_loss():
        with tf.GradientTape() as tape:
            terms, _ = model._energy_terms(images, negatives, keys)
        weights = model.energy_network.trainable_variables
        return _total(tape.gradient(terms["energy_loss"], weights))

    def encoder_loss():
        with tf.GradientTape() as tape:
            terms = model._encoder_terms(images, latents, keys)
        weights = model.encoder.trainable_variables
        return _total(tape.gradient(terms["encoder_loss"], weights))

    parts = {
        CHAIN: lambda: _chain(model, negatives, keys),
        LOSSES[0]: energy_loss,
        LOSSES[1]: encoder_loss,
        OTHER: _all_else(model, pixels),
    }
    compiled = {name: _compiled(part) for name, part in parts.items()}
    return {STEP: step_of(model, pixels), **compiled}


def step_of(model, pixels):
    """What `fit` calls for a batch."""
    model.make_train_function()
    batches = iter(tf.data.Dataset.from_tensors(pixels).repeat())

    def step():
        logs = model.train_function(batches)
        return [value.numpy() for value in logs.values()]

    return step


def _chain(model, images, keys):
    """The chain of a step, from constant images: nothing is drawn for it."""
    count = images.shape[0]
    chains = Chains(images, tf.zeros(count, tf.int32), tf.range(count))
    with (
        mock.patch.object(type(model.replay_buffer), "draw") as draw,
        mock.patch.object(type(model), "_transition") as transition,
    ):
        draw.return_value, transition.return_value = chains, images
        moved, info = model.negatives(keys, count)
    return _total([moved.images, *info])


def _all_else(model, pixels):
    """A step, all but its chain and its losses with their gradients."""
    generator = np.random.default_rng(1)
    # Tensors of their own, so that nothing of the step is computed beforehand.
    gradients = tuple(
        [
            tf.constant(generator.normal(0, 1e-3, weight.shape), "float32")
            for weight in network.trainable_variables
        ]
        for network in (model.energy_network, model.encoder)
    )

    def resting(energy_fn, initial, keys, *_):
        return initial, LangevinInfo(*[tf.zeros(len(pixels))] * 3)

    def given(positives, negatives, keys, labels):
        # Read the images as the losses would, lest they be left out.
        loss = _total([positives, negatives])
        names = (
            "energy_loss",
            "encoder_loss",
            "energy_positive",
            "energy_negative",
        )
        return dict.fromkeys(names, loss), gradients

    def step():
        with contextlib.ExitStack() as stack:
            for owner, name, value in (
                (model.sampler, "run", resting),
                (model, "_gradients", given),
            ):
                patch = mock.patch.object(owner, name, side_effect=value)
                stack.enter_context(patch)
            return _total(model.train_step(pixels).values())

    return step


def _compiled(function):
    graph = tf.function(function, autograph=False)
    return lambda: graph().numpy()


def _total(tensors):
    return tf.add_n([tf.reduce_sum(tensor) for tensor in tensors])


def _dimension(model):
    return model.encoder.output_shape[-1]


def _rows(preset, batch, seconds):
    parts = (CHAIN, *LOSSES)
    seconds = dict(seconds)
    rest = seconds[STEP] - sum(seconds[part] for part in parts)
    seconds[DIFFERENCE] = rest
    return [
        {
            "preset": preset,
            "batch": batch,
            "phase": phase,
            "seconds": timing.spread(values),
            "share": timing.spread(values / seconds[STEP]),
        }
        for phase, values in seconds.items()
    ]
