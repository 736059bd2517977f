"""The time of a Langevin step: ours, PyTorch's, and the machine's ceiling.

One network with the same weights everywhere, in turn, in one process. Chains
of `clel_tf` are those of `CLEL.sample`; what is timed is a call, from the start
of its chains to their images on the host, divided by its steps.
"""

from typing import NamedTuple

import ceiling
import numpy as np
import tensorflow as tf
import timing
import torch_chains

from clel_tf import presets
from clel_tf.models import CLEL
from clel_tf.models import EnergyResNet
from clel_tf.models import ResNetEncoder
from clel_tf.samplers import SGLD
from clel_tf.samplers import ReplayBuffer

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
# Relative, of energies and of their gradients, against ours in float32; above
# them nothing is timed. A unit near zero takes either slope, and its gradient.
TOLERANCES = {"float32": (1e-3, 1e-2), "bfloat16": (5e-2, 0.2)}
RATIOS = (
    "f32_vs_torch_eager",
    "f32_vs_best_torch_f32",
    "bf16_vs_torch_eager",
    "best_vs_best_torch",
    "f32_vs_conv_ceiling",
    "bf16_vs_conv_ceiling",
)


class Variant(NamedTuple):
    """One way to run a chain.

    Attributes:
        library: str. "clel_tf", "torch" or "convolutions" (the ceiling).
        mode: str. "graph" or "xla"; of `torch_chains.MODES`; or "ceiling".
        dtype: str. "float32" or "bfloat16".
    """

    library: str
    mode: str
    dtype: str


def measure(scale):
    """Times the scale's chains.

    Args:
        scale: `scales.Scale`.

    Returns:
        dict: "rows", one a network and `Variant`, with
        "milliseconds_per_step" as a spread; "by_network", the values of
        `RATIOS`, a row a network; "ratios", those of the first network, each a
        dict of value, low and high, or None; "skipped", dict from what was left
        out to the reason.
    """
    rows, by_network, ratios, skipped = [], [], [], {}
    for settings in scale.chains:
        left_out = {}
        modes = torch_chains.modes(left_out, settings.torch_compile)
        skipped |= {f"{settings.network}, {k}": v for k, v in left_out.items()}
        seconds = seconds_per_step(settings, modes)
        ratios.append(_ratios(seconds))
        values = {k: v and float(v["value"]) for k, v in ratios[-1].items()}
        by_network.append(
            {"network": settings.network, "batch": settings.batch, **values}
        )
        rows += [row(settings, *item) for item in seconds.items()]
    return {
        "rows": rows,
        "by_network": by_network,
        "ratios": ratios[0],
        "skipped": skipped,
    }


def seconds_per_step(settings, torch_modes):
    """Times one network's chains and its convolutions.

    Args:
        settings: `scales.Chains`.
        torch_modes: tuple of `(mode, dtype)`, of `torch_chains.MODES`.

    Returns:
        dict from `Variant`s to arrays `(rounds,)` of seconds a step.
    """
    chains = functions(settings, torch_modes)
    network = build(settings.network, "float32").energy_network
    seconds = timing.interleaved(
        {**chains, **ceiling.functions(network, settings.batch)},
        settings.rounds,
        warmups=2,
        calls=settings.calls,
    )
    steps = {name: seconds[name] / settings.steps for name in chains}
    for dtype in POLICIES:
        least = ceiling.seconds_per_step(network, seconds, dtype)
        steps[Variant("convolutions", "ceiling", dtype)] = least
    return steps


def functions(settings, torch_modes, device="cpu"):
    """Chains to time, ours and those of PyTorch whose energies are ours.

    Args:
        settings: `scales.Chains`.
        torch_modes: tuple of `(mode, dtype)`, of `torch_chains.MODES`.
        device: str. PyTorch's name of the device.

    Returns:
        dict from `Variant`s to functions without arguments.
    """
    models = {dtype: build(settings.network, dtype) for dtype in POLICIES}
    theirs = _torchs(models, settings, torch_modes, device)
    return {**_ours(models, settings), **theirs}


def build(network, dtype):
    """A `CLEL` with an energy network of a preset and a small encoder.

    Args:
        network: str. "small", "base" or "digits".
        dtype: str. "float32" or "bfloat16".
    """
    preset = network if network == "digits" else f"cifar10_{network}"
    config = presets.get(preset)
    options = config["energy_network"]
    energy_network = EnergyResNet(**options, seed=0, dtype=POLICIES[dtype])
    return CLEL(
        energy_network,
        ResNetEncoder(
            options["image_shape"],
            widths=(8,),
            depths=(1,),
            head_width=16,
            latent_dim=energy_network.config["latent_dim"],
        ),
        sampler=SGLD(**config["sampler"]),
        replay_buffer=ReplayBuffer(capacity=1),
    )


def chain(model, batch, steps, jit_compile):
    """A function without arguments that draws images."""
    config = {**model.sampler.get_config(), "jit_compile": jit_compile}
    sampler = SGLD.from_config(config)

    def run():
        model.sampler = sampler
        return model.sample(batch, num_steps=steps, batch_size=batch)

    return run


def _ours(models, settings):
    modes = {"graph": False, **({"xla": True} if settings.xla else {})}
    return {
        Variant("clel_tf", mode, dtype): chain(
            model, settings.batch, settings.steps, jit_compile
        )
        for mode, jit_compile in modes.items()
        for dtype, model in models.items()
    }


def _torchs(models, settings, modes, device):
    """PyTorch's chains, once energies and gradients are found to be ours."""
    models = models["float32"], models["bfloat16"]
    model = models[0]
    shape = (settings.batch, *model.image_shape)
    images = np.random.default_rng(0).random(shape, "float32")
    expected, rounded = (_energies_and_gradients(m, images) for m in models)
    _check(rounded, expected, Variant("clel_tf", "graph", "bfloat16"))
    chains = {}
    for mode, dtype in modes:
        run, theirs = torch_chains.chain(
            model.ema_energy_network,
            mode,
            dtype,
            images,
            settings.steps,
            model.sampler,
            device,
        )
        _check(theirs(), expected, Variant("torch", mode, dtype))
        chains[Variant("torch", mode, dtype)] = run
    return chains


def _energies_and_gradients(model, images):
    images = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        energies = model.energy(images)
    return energies.numpy(), tape.gradient(energies, images).numpy()


def _check(values, expected, variant):
    tolerances = TOLERANCES[variant.dtype]
    names = "energies", "gradients"
    for name, a, b, most in zip(names, values, expected, tolerances):
        error = np.linalg.norm(a - b) / np.linalg.norm(b)
        if not error <= most:
            raise ValueError(
                f"Expected the {name} of {variant} to be ours; received a "
                f"relative error of {error:.1e}."
            )


# === Results ===


def row(settings, variant, seconds):
    """A variant's row of `measure`, from its `(rounds,)` seconds a step."""
    return {
        "network": settings.network,
        "batch": settings.batch,
        **variant._asdict(),
        "milliseconds_per_step": timing.spread(1e3 * seconds),
    }


def _ratios(seconds):
    f32, bf16 = (seconds[Variant("clel_tf", "graph", d)] for d in POLICIES)
    least = [seconds[Variant("convolutions", "ceiling", d)] for d in POLICIES]
    eager = seconds.get(Variant("torch", "eager", "float32"))
    pairs = (
        (eager, f32),
        (_fastest(seconds, "torch", ("float32",)), f32),
        (eager, bf16),
        (_fastest(seconds, "torch"), _fastest(seconds, "clel_tf")),
        (least[0], f32),
        (least[1], bf16),
    )
    return {
        name: None if theirs is None else timing.ratio(theirs, ours)
        for name, (theirs, ours) in zip(RATIOS, pairs)
    }


def _fastest(seconds, library, dtypes=tuple(POLICIES)):
    """Times of the variant of the least median, or None without any."""
    candidates = [
        times
        for variant, times in seconds.items()
        if variant.library == library and variant.dtype in dtypes
    ]
    return min(candidates, key=np.median, default=None)
