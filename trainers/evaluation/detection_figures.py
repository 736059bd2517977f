"""How well a model's scores tell other images from those it was trained on."""

import numpy as np

from clel_tf import metrics
from clel_tf.trainers.evaluation import inputs as evaluation_inputs

_SHOWN = 10  # images of each set


def measure(inputs, parts):
    """Scores, detection and calibration; see `sample_figures.measure`.

    The threshold is taken from every second image of the test split, and the
    share of false alarms from the others.
    """
    if not inputs.ood:
        return {}, {}
    scores = _score_all(inputs, parts)
    found, _ = parts.get("detection", lambda: (_detection(scores, inputs), {}))
    sets = {
        spec: {**of_set, "detection": found[spec]}
        for spec, of_set in inputs.request["ood"].items()
    }
    test = {
        "spec": inputs.data.spec,
        "split": "test",
        "n": len(inputs.data.x_test),
    }
    figures = {
        "in_distribution": test,
        "scores": inputs.request["scores"],
        "sets": sets,
        "calibration": _calibrate(inputs, scores),
    }
    levels = inputs.data.levels
    shown = {
        f"images/{spec}": evaluation_inputs.to_unit(images[:_SHOWN], levels)
        for spec, images in inputs.ood.items()
    }
    arrays = {f"scores/{name}/{spec}": x for (name, spec), x in scores.items()}
    return {"ood": figures}, {**arrays, **shown}


def _score_all(inputs, parts):
    sets = {"test": inputs.data.x_test, **inputs.ood}
    scores: dict = {}
    for name, score in inputs.scores.items():

        def compute(score=score):
            _adapt(score, inputs)
            return {}, {
                spec: inputs.model.score(images[:], score=score)
                for spec, images in sets.items()
            }

        _, arrays = parts.get(f"scores/{name}", compute)
        scores |= {(name, spec): arrays[spec] for spec in sets}
    return scores


def _adapt(score, inputs):
    images = evaluation_inputs.some(inputs.data, evaluation_inputs.ADAPTED)
    score.adapt(inputs.model, images)


def _detection(scores, inputs):
    seed = inputs.request["samples"]["seed"]
    found: dict = {}
    for spec in inputs.ood:
        found[spec] = {}
        for name in inputs.scores:
            pair = scores[name, "test"], scores[name, spec]
            figures = metrics.detection(*pair, seed=seed)._asdict()
            found[spec][name] = {k: v._asdict() for k, v in figures.items()}
    return found


def _calibrate(inputs, scores):
    name, score = next(iter(inputs.scores.items()))
    if not score.adapted:  # where its scores were kept
        _adapt(score, inputs)
    rate = inputs.request["false_alarm_rate"]
    held_out = evaluation_inputs.held_out_images(inputs.data)
    threshold = inputs.model.calibrate_ood(held_out, rate, score=score)
    sets = {"test": scores[name, "test"][1::2]}
    sets |= {spec: scores[name, spec] for spec in inputs.ood}
    return {
        "score": name,
        "false_alarm_rate": rate,
        "threshold": float(threshold),
        "n": len(held_out),
        "flagged": {
            spec: float(np.mean(values > threshold))
            for spec, values in sets.items()
        },
    }
