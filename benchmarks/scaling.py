"""What replicas tell one another in a step, and what more of them would bring.

  python benchmarks/scaling.py

Counts the tensors that replicas of a preset exchange, as a step is traced on
two of them, and the operations of its networks; computes from both how long a
step would take on devices and links of given speeds. Nothing is timed.
"""

import json
import math
import pathlib
from typing import NamedTuple

import keras
import tensorflow as tf

from clel_tf import presets
from clel_tf.layers import SpectralConv2D

RESULTS = pathlib.Path(__file__).parent / "results" / "scaling.json"
PRESETS = ("digits", "cifar10_small", "cifar10_base", "cifar10_large")
IMAGES = 64  # on each replica
# Operations a second that a chain's convolutions are taken to reach: about a
# sixth of what an A100 is sold with, for bfloat16.
RATE = 50e12


class Link(NamedTuple):
    """How replicas reach one another.

    Attributes:
        name: str.
        replicas: int. How many there are.
        bandwidth: float. Bytes a second.
        latency: float. Seconds that an all-reduce of nothing takes.
    """

    name: str
    replicas: int
    bandwidth: float
    latency: float

    def seconds(self, messages, size):
        """Of a step's messages, `size` bytes in all, in a ring."""
        n = self.replicas
        return messages * self.latency + 2 * (n - 1) / n * size / self.bandwidth


# Round numbers, half to two thirds of what the links are sold with.
LINKS = (
    Link("8 by NVLink", 8, 200e9, 30e-6),
    Link("8 by PCIe 4", 8, 15e9, 50e-6),
    Link("2 x 8 by 100 Gbit/s", 16, 8e9, 150e-6),
    Link("2 x 8 by 10 Gbit/s", 16, 0.8e9, 200e-6),
)


def main():
    strategy = tf.distribute.MirroredStrategy(_two_devices())
    sent = _watch()
    rows = {}
    for name in PRESETS:
        rows[name] = _count(name, strategy, sent)
        print(name, json.dumps(rows[name]), flush=True)
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
    print()
    print(table(rows))


def _two_devices():
    cpu = tf.config.list_physical_devices("CPU")[0]
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, two)
    return [device.name for device in tf.config.list_logical_devices("CPU")]


def _watch():
    """A list that the bytes of every replica's messages will be added to."""
    sent = []

    def watch(name, position):
        method = getattr(tf.distribute.ReplicaContext, name)

        def watched(context, *args, **kwargs):
            value = args[position] if len(args) > position else kwargs["value"]
            sent.append(sum(map(_bytes, tf.nest.flatten(value))))
            return method(context, *args, **kwargs)

        setattr(tf.distribute.ReplicaContext, name, watched)

    watch("all_reduce", 1)
    watch("all_gather", 0)
    return sent


def _bytes(value):
    value = tf.convert_to_tensor(value)
    # Rows that are not known before: at most two views on two replicas.
    shape = [4 * IMAGES if side is None else side for side in value.shape]
    return math.prod(shape) * value.dtype.size


def _count(name, strategy, sent):
    """Messages, bytes and operations of one preset's step, a replica's."""
    with strategy.scope():
        model = presets.build(presets.get(name))
        model.compile()
    shape = (IMAGES, *model.energy_network.input_shape[1:])
    sent.clear()

    @tf.function(autograph=False)
    def step(images):
        return strategy.run(model.train_step, [(images,)])

    step.get_concrete_function(tf.TensorSpec(shape, tf.uint8))
    parameters = [
        sum(math.prod(w.shape) for w in network.trainable_variables)
        for network in (model.energy_network, model.encoder)
    ]
    products = _products(model.energy_network)
    # Forward and to the input's gradient, of two operations each.
    chain = 4 * model.sampler.num_steps * products
    # Forward and both gradients: images and chains; two views. And forward
    # alone: the view that is the target.
    losses = 12 * products + 14 * _products(model.encoder)
    return {
        "parameters": parameters,
        # Both replicas were traced.
        "messages": len(sent) // 2,
        "bytes": sum(sent) // 2,
        "chain": IMAGES * chain,
        "losses": IMAGES * losses,
    }


def _products(network):
    """Multiplications that an image takes in convolutions and dense layers."""
    kinds = keras.layers.Conv2D, keras.layers.Dense, SpectralConv2D
    return sum(
        math.prod(layer.output.shape[1:-1]) * math.prod(layer.kernel.shape)
        for layer in network._flatten_layers()
        if isinstance(layer, kinds)
    )


def table(rows):
    """What `main` has counted, and its times, as Markdown."""
    heads = ["preset", "parameters", "operations", "of the chain", "step"]
    heads += ["messages", "sent", *(link.name for link in LINKS)]
    lines = [heads, ["---"] * len(heads)]
    for name, row in rows.items():
        operations = row["chain"] + row["losses"]
        seconds = operations / RATE
        shares = [
            seconds / (seconds + link.seconds(row["messages"], row["bytes"]))
            for link in LINKS
        ]
        lines.append(
            [
                f"`{name}`",
                " + ".join(f"{n / 1e6:.2g}" for n in row["parameters"]) + " M",
                f"{operations / 1e12:.2g} T",
                f"{row['chain'] / operations:.0%}",
                f"{seconds:.2g} s",
                f"{row['messages']}",
                f"{row['bytes'] / 1e6:.3g} MB",
                *(f"{share:.0%}" for share in shares),
            ]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
