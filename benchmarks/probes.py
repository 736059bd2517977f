"""What `processes` measures in fresh processes; prints a JSON object.

  python benchmarks/probes.py NAME [ARGUMENT ...]

Each probe imports for itself what it needs, and nothing else is imported
before.
"""

import json
import sys
import time


def import_tensorflow():
    import tensorflow  # noqa: F401


def import_clel_tf():
    import clel_tf  # noqa: F401


def load_and_sample(path):
    """A saved model's first sample, with the sampler's own steps."""
    import keras

    import clel_tf  # noqa: F401, registers the classes of saved models

    keras.saving.load_model(path, compile=False).sample(1)


def serve(path):
    """An exported sampler's first sample, with TensorFlow alone."""
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    loaded.signatures["sample"](seed=tf.constant([0], tf.int64))
    assert "clel_tf" not in sys.modules


def compile_train_step():
    """Seconds of the first training step that later ones do not take."""
    import tensorflow as tf

    from clel_tf.models import CLEL

    model = CLEL.from_preset("digits")
    model.compile()
    images = tf.zeros((64, *model.image_shape), tf.uint8)
    batches = iter(tf.data.Dataset.from_tensors(images).repeat())
    model.make_train_function()
    return _first_call(
        lambda: model.train_function(batches)["energy_loss"].numpy()
    )


def compile_sample():
    """Seconds of the first `sample` that later ones do not take."""
    from clel_tf.models import CLEL

    model = CLEL.from_preset("digits")
    return _first_call(lambda: model.sample(64, num_steps=20))


def peak_of_sample(n, steps):
    """Peak memory of the process that samples, and what sampling adds."""
    from clel_tf.models import CLEL

    model = CLEL.from_preset("digits")
    before = _peak_mb()
    model.sample(int(n), num_steps=int(steps))
    peak = _peak_mb()
    return {"peak_mb": peak, "growth_mb": peak - before}


def chain_step(network, batch, dtype):
    """Milliseconds of a Langevin step, the median of some calls."""
    import statistics

    import chains

    steps = 20 if network == "digits" else 5
    run = chains.chain(
        chains.build(network, dtype), int(batch), steps, jit_compile=False
    )
    run()
    seconds = []
    for _ in range(9):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return {"milliseconds": 1e3 * statistics.median(seconds) / steps}


def _first_call(function):
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return {"seconds": seconds[0] - min(seconds[1:])}


def _peak_mb():
    # Not the `ru_maxrss` of `getrusage`: that begins at the parent's memory.
    with open("/proc/self/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    return int(fields["VmHWM"].split()[0]) / 1024


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:]) or {}))
