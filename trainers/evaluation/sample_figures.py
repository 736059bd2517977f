"""How good a model's fresh samples are."""

import warnings

import numpy as np

from clel_tf import metrics
from clel_tf import random
from clel_tf.metrics import extractors
from clel_tf.metrics.distances import nearest_references
from clel_tf.metrics.prdc import ball_radii
from clel_tf.trainers.evaluation import inputs as evaluation_inputs
from clel_tf.trainers.evaluation.parts import tell_tenths
from clel_tf.trainers.evaluation.shares import share_interval

_BLOCK = 1000  # samples, and what is lost at most when work is stopped
_GROUPS = 10  # of samples, each of which is left out once
_NORMAL = 1.96  # standard errors to the ends of a 95% interval
_RANGES = {
    "inception_score": (1.0,),
    "precision": (0.0, 1.0),
    "recall": (0.0, 1.0),
    "coverage": (0.0, 1.0),
}
_COMPARED = 10  # samples with their nearest training images
_NEIGHBORS = 5
_TRACED = 64  # chains
_RECORDS = 100  # of each chain, about


def measure(inputs, parts):
    """Samples, and their distances from the data.

    Args:
        inputs: `Inputs`.
        parts: `Parts`.

    Returns:
        Tuple of the report's figures and arrays.
    """
    samples = _samples(inputs, parts)
    settings = {
        **inputs.request["samples"],
        "seeds": _seeds(inputs).tolist(),
        "sha256": extractors.sha256_of_arrays([samples]),
    }
    if not np.isfinite(samples).all():
        raise ValueError(
            "Expected chains of finite images; received NaN or infinity: the "
            "run's energies have diverged."
        )
    found = {
        name: _against_reference(name, samples, inputs, parts)
        for name in inputs.extractors
    }
    split = inputs.request["reference"]
    reference = {"split": split, "n": len(inputs.split(split))}
    _, neighbors = parts.get(
        "samples/neighbors", lambda: _neighbors(samples, inputs)
    )
    _, trace = parts.get("samples/trace", lambda: ({}, _trace(inputs)))
    return (
        {
            "samples": settings,
            "quality": {"reference": reference, "extractors": found},
        },
        {"samples": samples, **neighbors, **trace},
    )


def _seeds(inputs):
    """A seed for each block of samples; one block has the given one."""
    settings = inputs.request["samples"]
    blocks = -(-settings["n"] // _BLOCK)
    if blocks == 1:
        return np.array([settings["seed"]])
    return random.row_seeds(settings["seed"], blocks)


def _samples(inputs, parts):
    settings, drawn = inputs.request["samples"], []
    for i, seed in enumerate(_seeds(inputs)):
        first = i * _BLOCK
        count = min(_BLOCK, settings["n"] - first)

        def draw(seed=int(seed), count=count):
            how = ("num_steps", "batch_size", "rounds", "final_steps")
            images = inputs.model.sample(
                count, seed=seed, **{name: settings[name] for name in how}
            )
            return {}, {"images": images}

        name = f"samples/{first + 1}-{first + count}"
        drawn.append(parts.get(name, draw)[1]["images"])
    return np.concatenate(drawn)


def _against_reference(name, samples, inputs, parts):
    extractor = inputs.extractors[name]
    sets = {
        "samples": samples,
        "reference": inputs.split(inputs.request["reference"]),
    }
    against_train = inputs.request["reference"] == "train"
    if against_train and inputs.data.x_test is not None:
        sets["test"] = inputs.data.x_test
    features = {
        part: parts.get(
            f"{name}/features of {part}",
            lambda images=images: ({}, _features(extractor, images, inputs)),
        )[1]
        for part, images in sets.items()
    }
    reference = features["reference"]
    reference["radii"] = parts.get(
        f"{name}/radii",
        lambda: ({}, {"radii": ball_radii(reference["features"])}),
    )[1]["radii"]
    floor = features.get("test")
    if floor is not None:
        floor = _figures(f"{name}/test", floor, features, parts)
    return {
        "identity": extractor.identity(),
        "dimension": int(features["samples"]["features"].shape[1]),
        "metrics": _figures(name, features["samples"], features, parts),
        "test_split": floor,
    }


def _features(extractor, images, inputs):
    batches = evaluation_inputs.unit_batches(images, inputs.data.levels)
    found = extractors.extract(
        extractor, batches, progress=tell_tenths(len(images))
    )
    arrays = {"features": found.features}
    if found.logits is not None:
        arrays["logits"] = found.logits
    return arrays


def _figures(name, one, features, parts):
    """The metrics of one set's features, each a part of the work."""
    reference, radii = (
        features["reference"][part] for part in ("features", "radii")
    )
    held_out = features.get("test", {}).get("features")
    points = one["features"]
    moments = metrics.FeatureMoments().update(reference)  # with their root

    def frechet_distance(rows):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # told once, below
            distance = metrics.frechet_distance(points[rows], moments)
        return {"frechet_distance": distance}

    def prdc(rows):
        return metrics.prdc(points[rows], reference, radii=radii)._asdict()

    def inception_score(rows):
        score = metrics.inception_score(one["logits"][rows])
        return {"inception_score": score.value}

    if len(points) <= points.shape[1]:
        print(
            f"note      {name}: no more images ({len(points)}) than features "
            f"({points.shape[1]}): the Frechet distance is strongly biased."
        )
    several = [frechet_distance, prdc]
    if "logits" in one:
        several.append(inception_score)
    found: dict = {}
    if held_out is not None and held_out is not points:

        def memorised():
            share = metrics.memorised(points, reference, held_out)
            return {"memorised": share_interval(share, len(points))}, {}

        found |= parts.get(f"{name}/memorised", memorised)[0]
    for metric in several:
        found |= parts.get(
            f"{name}/{metric.__name__}",
            lambda metric=metric: (_jackknife(metric, len(points)), {}),
        )[0]
    return (
        found
        | parts.get(
            f"{name}/kernel_distance",
            lambda: (_kernel_distance(points, reference), {}),
        )[0]
    )


def _kernel_distance(points, reference):
    distance = metrics.kernel_distance(points, reference)
    return {
        "kernel_distance": _interval(
            distance.value, distance.standard_error, -np.inf
        )
    }


def _jackknife(metric, count):
    """A metric of all samples, and its interval over groups left out.

        error^2 = (g - 1)/g sum_i (metric without group i - their mean)^2

    Groups are every tenth sample. The interval is that of other samples of the
    same model, not of other trainings.
    """
    rows = np.arange(count)
    values = metric(rows)
    groups = min(_GROUPS, count // 2)
    without = [metric(rows[rows % groups != i]) for i in range(groups)]
    found = {}
    for name, value in values.items():
        left = np.array([one[name] for one in without])
        error = np.sqrt((groups - 1) * left.var()) if groups > 1 else 0.0
        found[name] = _interval(value, error, *_RANGES.get(name, (0.0,)))
    return found


def _interval(value, error, least, most=np.inf):
    value, error = float(value), float(error)
    return {
        "value": value,
        "low": max(value - _NORMAL * error, least),
        "high": min(value + _NORMAL * error, most),
        "standard_error": error,
    }


def _neighbors(samples, inputs):
    train = evaluation_inputs.some(inputs.data, evaluation_inputs.ADAPTED)
    train = evaluation_inputs.to_unit(train, inputs.data.levels)
    shown = samples[:_COMPARED]
    count = min(_NEIGHBORS, len(train))
    indices, distances = nearest_references(shown, train, count)
    return {}, {
        "neighbours/samples": shown,
        "neighbours/images": train[indices],
        "neighbours/distances": distances,
    }


def _trace(inputs):
    settings = inputs.request["samples"]
    if settings["rounds"] > 1:
        return {}  # there is no one chain from noise to a sample
    steps = settings["num_steps"]
    trace = inputs.model.trace(
        _TRACED,
        num_steps=steps,
        seed=settings["seed"],
        every=max(steps // _RECORDS, 1),
    )
    images = trace.images.reshape(*trace.images.shape[:2], -1)
    saturated = (images <= 0.0) | (images >= 1.0)
    return {
        "trace/steps": trace.steps,
        "trace/energies": trace.energy,
        "trace/gradient_norms": trace.gradient_norm,
        "trace/displacements": trace.displacement,
        "trace/saturated": saturated.mean(axis=-1),
    }
