"""How far the networks are from PyTorch's: a table of relative errors.

  python benchmarks/parity.py

Builds the paper's networks in PyTorch (of tests/conformance), with random
weights, reads them by `load_reference_checkpoint` and compares both on random
images in float32. Writes benchmarks/results/parity.md. Needs PyTorch.
"""

import functools
import pathlib
import sys
import tempfile

import numpy as np
import tensorflow as tf

from clel_tf.models import load_reference_checkpoint
from clel_tf.models.joint_energy_model import half_square

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests" / "conformance"))

import comparison  # noqa: E402
import pytorch_networks as pytorch  # noqa: E402
from comparison import torch  # noqa: E402

COUNT = 8
RESULT = ROOT / "benchmarks" / "results" / "parity.md"


def main():
    lines = ["| network | what | relative error |", "| --- | --- | --- |"]
    for size, options in pytorch.SIZES.items():
        torch.manual_seed(0)
        reference = pytorch.Reference(
            functools.partial(pytorch.EnergyNetwork, **options),
            functools.partial(pytorch.Encoder),
        )
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "last.ckpt"
            model = load_reference_checkpoint(reference.save(path))
        errors = energy_errors(reference, model)
        if size == "small":
            errors |= encoder_errors(reference, model)
        for (network, what), error in errors.items():
            name = network or f"EnergyResNet, {size}"
            lines.append(f"| {name} | {what} | {error:.1e} |")
            print(lines[-1], flush=True)
    RESULT.write_text("\n".join(lines) + "\n")


def energy_errors(reference, model):
    """Errors of the live network's outputs and of its energy's gradient."""
    x = tf.constant(comparison.images(COUNT))
    with tf.GradientTape() as tape:
        tape.watch(x)
        features, latents = model.energy_network(x)
        energies = half_square(features)
    gradients = tape.gradient(energies, x)
    y = comparison.channels_first(x).requires_grad_()
    theirs = reference.ebm(y)
    expected = theirs[0].square().sum(1) / 2
    expected.sum().backward()
    error = comparison.relative_error
    per_image = map(error, gradients, comparison.channels_last(y.grad))
    return {
        ("", "features"): error(features, theirs[0]),
        ("", "latents"): error(latents, theirs[1]),
        ("", "energies"): error(energies, expected),
        ("", "image gradients, median"): np.median(list(per_image)),
    }


def encoder_errors(reference, model):
    """Errors of the embeddings, in both modes of batch normalisation."""
    x = comparison.images(COUNT)
    errors = {}
    for mode, training in (("inference", False), ("training", True)):
        ours = model.encoder(x, training=training)
        with torch.no_grad():
            encoder = reference.encoder.train(training)
            theirs = encoder(comparison.channels_first(x))
        error = comparison.relative_error(ours, theirs)
        errors["ResNetEncoder, ResNet-18", mode] = error
    return errors


if __name__ == "__main__":
    main()
