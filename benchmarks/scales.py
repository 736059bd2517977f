"""How much the benchmark measures: `make bench`, `make bench-full`, a test."""

from typing import NamedTuple


class Chains(NamedTuple):
    """A network whose chains are timed, ours and PyTorch's.

    Attributes:
        network: str. "base" or "small", at 32x32x3, or "digits".
        batch: int. Number of chains.
        steps: int. Steps a call.
        calls: int. Calls a round, of which the fastest counts.
        rounds: int.
        xla: bool. Whether ours is timed with XLA too.
        torch_compile: bool. Whether `torch.compile` is, half a minute to start.
    """

    network: str
    batch: int
    steps: int
    calls: int
    rounds: int
    xla: bool = False
    torch_compile: bool = False


class Scale(NamedTuple):
    """Settings of every section.

    Attributes:
        name: str.
        chains: tuple of `Chains`. Ratios are taken from the first.
        training: tuple of `(preset, batch size, rounds)`. The share of all but
            chain and losses is taken from the first.
        sample_counts: tuple of ints. Numbers of images sampled at once.
        sample_together: tuple `(n, chunk)`: one call for n images against
            `n // chunk` calls for `chunk`.
        sample_rounds: int.
        memory_steps: tuple of ints, chain lengths; the ratio is last to first.
        memory_counts: tuple of ints, numbers of images.
        starts: int. Fresh processes for each time of starting.
        growth_image_sizes: tuple of ints.
        growth_widths: tuple of ints.
        growth_steps: tuple of ints.
        growth_batches: tuple of ints.
        growth_rounds: int.
    """

    name: str
    chains: tuple
    training: tuple
    sample_counts: tuple
    sample_together: tuple
    sample_rounds: int
    memory_steps: tuple
    memory_counts: tuple
    starts: int
    growth_image_sizes: tuple
    growth_widths: tuple
    growth_steps: tuple
    growth_batches: tuple
    growth_rounds: int


QUICK = Scale(
    name="quick",
    chains=(
        Chains("base", 16, 3, calls=3, rounds=7, torch_compile=True),
        Chains("small", 16, 8, calls=3, rounds=6),
        Chains("digits", 64, 20, calls=3, rounds=7, xla=True),
    ),
    training=(("cifar10_small", 16, 6), ("digits", 64, 15)),
    sample_counts=(1, 4, 16, 64, 256, 1024, 4096),
    sample_together=(4096, 64),
    sample_rounds=4,
    memory_steps=(60, 600),
    memory_counts=(1, 1024, 4096),
    starts=2,
    growth_image_sizes=(8, 16, 32, 64),
    growth_widths=(16, 32, 64),
    growth_steps=(20, 100, 500),
    growth_batches=(16, 64, 256),
    growth_rounds=4,
)
FULL = QUICK._replace(
    name="full",
    chains=(
        # No XLA for the base network: minutes a round on a CPU.
        Chains("base", 16, 5, 3, 5, torch_compile=True),
        Chains("base", 64, 3, 2, 5),
        Chains("small", 16, 8, 3, 8, xla=True, torch_compile=True),
        Chains("small", 64, 5, 2, 6),
        Chains("digits", 64, 20, 5, 20, xla=True, torch_compile=True),
    ),
    training=(("cifar10_small", 16, 8), ("digits", 64, 30)),
    sample_rounds=5,
    starts=4,
    growth_widths=(16, 32, 64, 128),
    growth_batches=(4, 16, 64, 256, 1024),
    growth_rounds=8,
)
# Everything once, on the smallest network: figures of no use, for a test.
TINY = Scale(
    name="tiny",
    chains=(Chains("digits", 4, 2, calls=2, rounds=2, xla=True),),
    training=(("digits", 8, 2),),
    sample_counts=(1, 8),
    sample_together=(16, 8),
    sample_rounds=2,
    memory_steps=(2, 20),
    memory_counts=(4,),
    starts=1,
    growth_image_sizes=(8, 16),
    growth_widths=(8,),
    growth_steps=(2, 4),
    growth_batches=(4, 8),
    growth_rounds=2,
)
