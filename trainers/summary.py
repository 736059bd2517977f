"""The figures of a finished run."""

import platform

import keras
import numpy as np
import tensorflow as tf

import clel_tf
from clel_tf.metrics import DigitsEvaluator

_NUM_SAMPLES = 1000  # every figure's n; Frechet distances depend on it


def summarize(model, data, config, train_seconds, faults):
    """Describes a run; judges its samples where the data are digits.

    Args:
        model: trained `CLEL`.
        data: `clel_tf.data.ImageData`.
        config: `TrainConfig`.
        train_seconds: float. Duration of training.
        faults: `clel_tf.data.Faults` of the data.

    Returns:
        dict for JSON.
    """
    return {
        "preset": config.preset,
        "data": data.spec,
        "seed": config.seed,
        "steps": config.steps,
        "sample_steps": model.sampler.sample_steps,
        "train_seconds": round(train_seconds, 1),
        "steps_per_second": round(config.steps / train_seconds, 3),
        **_sample_figures(model, data, config),
        "nan_steps": int(model.skipped_steps.numpy()),
        "incidents": int(model.vital_signs.incidents.numpy()),
        "faulty_images": len(faults.found),
        "versions": {
            "clel_tf": clel_tf.__version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }


def _sample_figures(model, data, config):
    # Figures against a part of the digits would compare with no others.
    if data.spec != "digits" or config.max_images:
        return {"frechet_distance": None}
    seed = config.seed
    evaluator = DigitsEvaluator(
        data.x_train, data.y_train, data.x_test, data.levels
    )
    # Fresh samples: i.i.d. uniform noise, moved by the averaged network.
    fresh = evaluator.figures(model.sample(_NUM_SAMPLES, seed=seed))
    rows = np.random.default_rng(seed).choice(
        model.replay_buffer.images, _NUM_SAMPLES
    )
    references = evaluator.floors(_NUM_SAMPLES, seed)
    references["buffer"] = evaluator.figures(rows)
    distance = "frechet_distance"
    return {
        "num_samples": _NUM_SAMPLES,
        distance: fresh[distance],
        "frechet_distance_buffer": references["buffer"][distance],
        "frechet_distance_noise": references["noise"][distance],
        "frechet_distance_test": references["test_split"][distance],
        "frechet_distance_against_test": fresh["frechet_distance_test_split"],
        "pixel_frechet_distance": fresh["pixel_frechet_distance"],
        "precision": fresh["precision"],
        "coverage": fresh["coverage"],
        "memorised": fresh["memorised"],
        "class_histogram": fresh["class_histogram"],
        "references": references,
    }
