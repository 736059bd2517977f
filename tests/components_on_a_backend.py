"""Results of the components on Keras's backend, whichever it is.

As a script, it writes those of the backend in KERAS_BACKEND into a folder, and
what the components say that need another one.
"""

import functools
import json
import sys

import keras
import numpy as np
import tensorflow as tf
from keras import ops

import clel_tf
import clel_tf.export
from clel_tf.layers.random_color_jitter import jitter
from clel_tf.layers.resized_crop import resized_crop
from clel_tf.metrics import extractors
from clel_tf.samplers import langevin


def results():
    """dict of NumPy arrays by name, of one list of inputs."""
    groups = (layers, networks, training, losses, optimizers, metrics)
    return {
        f"{group.__name__}.{name}": np.array(ops.convert_to_numpy(value))
        for group in groups
        for name, value in group()
    }


def draw(*shape, seed=0):
    rng = np.random.default_rng([seed, *shape])
    return rng.uniform(size=shape).astype("float32")


def layers():
    x = ops.convert_to_tensor(draw(4, 6, 5, 3))
    conv = clel_tf.layers.SpectralConv2D(7)
    conv.build(x.shape)
    conv.kernel.assign(draw(3, 3, 3, 7))
    conv.bias.assign(draw(7))
    conv.u.assign(draw(7))
    conv.v.assign(draw(27))
    yield "conv_training", conv(x, training=True)
    yield "conv", conv(x)
    for name in ("u", "v", "normalized_kernel"):
        yield f"conv_{name}", getattr(conv, name)
    yield "conv_sigma", conv.sigma()
    conv.refresh(iterations=3)
    yield "conv_refreshed", conv(x)
    yield "leaky_relu", clel_tf.layers.LeakyReLU(0.3)(x - 0.5)
    norm = clel_tf.layers.BatchNormalization()
    yield "norm_training", norm(x, training=True)
    yield "norm", norm(x)
    yield "norm_variance", norm.moving_variance
    boxes = draw(4, 4) * np.float32(2) + np.float32([0, 0, 2, 2])
    # Sorted, as `jax.jit` passes a dict on.
    names = ("brightness", "contrast", "hue", "saturation")
    factors = dict(zip(names, map(ops.convert_to_tensor, 0.5 * draw(4, 4))))
    order = np.array([2, 0, 3, 1], "int32")
    for flavour in ("reference", "torchvision"):
        crop = functools.partial(resized_crop, flavour=flavour)
        yield f"crop_{flavour}", compiled(crop)(x, ops.convert_to_tensor(boxes))
        adjust = functools.partial(jitter, flavour=flavour)
        yield f"jitter_{flavour}", compiled(adjust)(x, factors, order)


def compiled(function):
    """The function under JAX's compiler, if it is JAX's turn."""
    if keras.backend.backend() != "jax":
        return function
    import jax

    return jax.jit(function)


def networks():
    options = {"widths": (4,), "depths": (1,), "head_width": 8}
    x = ops.convert_to_tensor(draw(4, 8, 8, 1))
    energy = clel_tf.models.EnergyResNet((8, 8, 1), **options, seed=0)
    encoder = clel_tf.models.ResNetEncoder((8, 8, 1), **options, seed=0)
    for network in (energy, encoder):
        for i, weight in enumerate(network.trainable_weights):
            weight.assign(draw(*weight.shape, seed=i) - 0.5)
    for layer in energy.spectral_layers:
        layer.refresh(iterations=100)
    yield "features", energy(x)[0]
    yield "latent", energy(x, training=True)[1]
    yield "embedding_training", encoder(x, training=True)
    yield "embedding", encoder(x)


def training():
    x, y = draw(16, 6, 6, 3), draw(16, 1)
    model = keras.Sequential(
        [
            clel_tf.layers.SpectralConv2D(5),
            clel_tf.layers.LeakyReLU(),
            clel_tf.layers.BatchNormalization(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1),
        ]
    )
    model.build((None, 6, 6, 3))
    for weight in model.trainable_weights:
        weight.assign(draw(*weight.shape))
    model.layers[0].refresh(iterations=100)
    # Not Adam, which makes steps of the rounding errors that are the gradient
    # of a bias before batch normalisation.
    model.compile(keras.optimizers.SGD(0.01), "mse")
    history = model.fit(x, y, 8, epochs=2, shuffle=False, verbose=0)
    yield "losses", history.history["loss"]
    yield "predictions", model.predict(x, verbose=0)
    yield "sigma", model.layers[0].sigma()


def losses():
    unit = ops.convert_to_numpy(ops.normalize(draw(8, 3) - 0.5, axis=-1))
    other = ops.convert_to_numpy(ops.normalize(draw(5, 3) - 0.5, axis=-1))
    cases = {
        "nt_xent": (clel_tf.losses.nt_xent, unit),
        "nt_xent_negatives": (lambda z: clel_tf.losses.nt_xent(unit, z), other),
        "contrastive_divergence": (
            lambda e: clel_tf.losses.contrastive_divergence(e, draw(6), 0.3),
            draw(5),
        ),
        "latent_alignment": (
            lambda z: clel_tf.losses.latent_alignment(z, unit[::-1] + 0.1),
            unit,
        ),
    }
    for name, (loss, argument) in cases.items():
        value, gradient = value_and_gradient(loss, argument)
        yield name, value
        yield f"{name}_gradient", gradient


def value_and_gradient(loss, argument):
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return jax.jit(jax.value_and_grad(loss))(argument)
    if backend == "torch":
        x = ops.convert_to_tensor(argument).requires_grad_()
        value = loss(x)
        value.backward()
        return value, x.grad
    x = tf.constant(argument)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = loss(x)
    return value, tape.gradient(value, x)


def optimizers():
    w = keras.Variable(draw(4))
    adam = clel_tf.optimizers.Adam(0.1)
    for seed in range(3):
        adam.apply([ops.convert_to_tensor(draw(4, seed=seed) - 0.5)], [w])
    yield "adam", w


def metrics():
    a, b, images = draw(40, 3), draw(30, 3) ** 2, draw(6, 8, 8, 1)
    labels = np.arange(40) % 3
    m = clel_tf.metrics
    yield "frechet", m.frechet_distance(a, b)
    yield "kernel", m.kernel_distance(a, b)
    yield "prdc", m.prdc(a, b)
    yield "inception_score", m.inception_score(a * 5.0)
    yield "memorised", m.memorised(a, b, a[:9] + 0.1, fraction=1.0)
    yield "knn", m.knn_accuracy(a, labels, b, labels[:30])
    yield "probe", m.linear_probe_accuracy(a, labels, b, labels[:30])
    yield "detection", m.detection(a[:, 0], b[:, 0]).auroc.value
    pool = keras.layers.GlobalAveragePooling2D(name="means")
    yield "extracted", extractors.KerasFeatures(pool)(images).features


def refusals():
    """What each class and function says that needs TensorFlow, by name."""
    network = clel_tf.models.EnergyResNet((8, 8, 1), (4,), (1,))
    calls = {
        "CLEL": lambda: clel_tf.models.CLEL(network, network),
        "preset": lambda: clel_tf.models.CLEL.from_preset("digits"),
        "inference": lambda: clel_tf.models.inference_function(network),
        "SGLD": clel_tf.samplers.SGLD,
        "MALA": lambda: clel_tf.samplers.MALA(0.1, 0.1),
        "ReplayBuffer": clel_tf.samplers.ReplayBuffer,
        "chain": _move_a_chain,
        "SimCLRAugmentation": clel_tf.layers.SimCLRAugmentation,
        "RandomResizedCrop": clel_tf.layers.RandomResizedCrop,
        "JointEnergy": clel_tf.ood.JointEnergy,
        "Checkpoints": lambda: clel_tf.callbacks.Checkpoints("x", 1),
        "Resume": lambda: clel_tf.callbacks.Resume("x", 1),
        "DivergenceGuard": clel_tf.callbacks.DivergenceGuard,
        "MetricsLogger": lambda: clel_tf.callbacks.MetricsLogger("x", 1),
        "ProgressTable": lambda: clel_tf.callbacks.ProgressTable(1, 1),
        "SampleGrid": lambda: clel_tf.callbacks.SampleGrid("x", 1),
        "export": lambda: clel_tf.export.export_sampler(network, "x"),
        "Inception": extractors.Inception,
    }
    return {name: _refusal(call) for name, call in calls.items()}


def _move_a_chain():
    keys = clel_tf.random.fold_in(clel_tf.random.as_key(0), tf.range(2))
    state = langevin.init(tf.zeros((2, 3)))
    langevin.langevin_step(state, tf.norm, keys, step_size=1.0, noise_scale=1.0)


def _refusal(call):
    try:
        call()
    except RuntimeError as error:
        return str(error)
    return "none"


if __name__ == "__main__":
    np.savez(f"{sys.argv[1]}/results.npz", **results())
    with open(f"{sys.argv[1]}/refusals.json", "w") as file:
        json.dump(refusals(), file)
