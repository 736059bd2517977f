"""Many short runs of `clel-train`, for one import of TensorFlow."""

import json
import subprocess
import sys

import numpy as np

# A process of its own for every run.
_PROGRAM = """
import json, os, sys
import clel_tf
import tensorflow as tf
from clel_tf.trainers import train

def run(arguments, log, environment, devices):
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1), os.dup2(output, 2)
    sys.argv = ["/bin/clel-train", *arguments]
    os.environ.update(environment)
    if devices > 1:
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * devices,
        )
    try:
        train.run()
    except SystemExit as end:
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(end.code or 0)
    os._exit(1)

for line in sys.stdin:
    asked = json.loads(line)
    if isinstance(asked, list):
        child = os.fork()
        if not child:
            run(*asked)
        print(child, flush=True)
    else:
        status = os.waitpid(asked, 0)[1]
        print(os.waitstatus_to_exitcode(status), flush=True)
"""
SMALL = [
    "energy_network.widths=[8]",
    "energy_network.depths=[1]",
    "energy_network.head_width=8",
    "encoder.widths=[8]",
    "encoder.depths=[1]",
    "encoder.head_width=8",
    "sampler.num_steps=2",
    "sampler.sample_steps=2",
    "replay_buffer.capacity=64",
    "recipe.batch_size=16",
]


class Driver:
    """Starts `clel-train` with the same flags in one directory after another.

    Args:
        log: `pathlib.Path` of the file that all runs print to.
        flags: list of str.
    """

    def __init__(self, log, flags):
        self.log = log
        self.flags = [*(f"--set={change}" for change in SMALL), *flags]
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, run, *flags, log=None, environment=(), devices=1):
        """Begins a run; gives its process."""
        arguments = [*self.flags, f"--workdir={run}", *flags]
        log = str(log or self.log)
        return self._ask([arguments, log, dict(environment), devices])

    def end(self, process):
        """Waits for a run's end; gives its status."""
        return self._ask(process)

    def _ask(self, question):
        print(json.dumps(question), file=self.process.stdin, flush=True)
        return int(self.process.stdout.readline())

    def close(self):
        self.process.communicate()


def assert_same_end(run, expected, steps):
    """Two runs have left the same state, bit for bit, and the same files."""
    name = f"checkpoints/step_{steps:09}.npz"
    with np.load(run / name) as ours, np.load(expected / name) as theirs:
        assert ours.files == theirs.files and len(ours.files) > 50
        for array in ours.files:
            np.testing.assert_array_equal(ours[array], theirs[array], array)
    for name in ("metrics.csv", "samples.png"):
        assert (run / name).read_bytes() == (expected / name).read_bytes()
    rows = np.genfromtxt(run / "metrics.csv", delimiter=",", names=True)
    assert rows["step"].tolist() == list(range(10, steps + 1, 10))
