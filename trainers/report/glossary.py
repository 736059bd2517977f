"""What the figures of a report are called, and what they mean."""

from typing import NamedTuple


class Metric(NamedTuple):
    """A kind of figure.

    Attributes:
        label: str.
        better: "higher", "lower", or "" where neither is.
        meaning: str. One line of the glossary.
    """

    label: str
    better: str = ""
    meaning: str = ""


_AT_EQUAL_N = "Compare at equal numbers of images only."

METRICS = {
    "frechet_distance": Metric(
        "Fréchet distance",
        "lower",
        "Squared distance of two Gaussians, fitted to the features of the "
        "images and of the reference. Few images bias it upwards. "
        + _AT_EQUAL_N,
    ),
    "kernel_distance": Metric(
        "Kernel distance",
        "lower",
        "Squared maximum mean discrepancy of features under a cubic kernel. "
        "It has no bias, so that it may be below zero, and figures at other "
        "numbers of images compare.",
    ),
    "inception_score": Metric(
        "Inception score",
        "higher",
        "How sure a classifier is of each image, and how evenly of its "
        "classes. It knows nothing of the data. " + _AT_EQUAL_N,
    ),
    "precision": Metric(
        "Precision",
        "higher",
        "Share of the images that lie in the ball of some reference image, "
        "which reaches to its third neighbour.",
    ),
    "recall": Metric(
        "Recall",
        "higher",
        "Share of the reference that lies in the ball of some of the images. "
        + _AT_EQUAL_N,
    ),
    "density": Metric(
        "Density",
        "higher",
        "Balls of the reference that an image lies in, over how many it would "
        "be in if it were one of them; may exceed 1.",
    ),
    "coverage": Metric(
        "Coverage",
        "higher",
        "Share of the reference's balls that hold some of the images. "
        + _AT_EQUAL_N,
    ),
    "memorised": Metric(
        "Memorised",
        "lower",
        "Share of the images that are nearer to a reference image than a "
        "quarter of the usual distance of new images of the data.",
    ),
    "knn": Metric(
        "k-NN accuracy",
        "higher",
        "Share of test images whose nearest training images, by the cosine of "
        "latents, have their class.",
    ),
    "linear_probe": Metric(
        "Linear probe",
        "higher",
        "Accuracy on test images of a linear classifier of latents.",
    ),
    "auroc": Metric(
        "AUROC",
        "higher",
        "Chance that an image of another set scores above one of the data's; "
        "0.5 is a guess.",
    ),
    "fpr_at_95_tpr": Metric(
        "FPR at 95% TPR",
        "lower",
        "Share of the data's images that are flagged by a threshold that flags "
        "95% of the other set.",
    ),
    "aupr_out": Metric(
        "AUPR, other set",
        "higher",
        "Average precision of finding the other set's images; depends on how "
        "many there are of both.",
    ),
    "aupr_in": Metric(
        "AUPR, data",
        "higher",
        "Average precision of finding the data's images; depends on how many "
        "there are of both.",
    ),
    "flagged": Metric(
        "Flagged",
        "",
        "Share of a set above the threshold: of test images that did not "
        "choose it at most about the rate asked for, of other sets the more "
        "the better.",
    ),
}


def metric(name):
    """The `Metric` of a name; one that is not known has its name as label."""
    return METRICS.get(name, Metric(name.replace("_", " ")))


def glossary(report):
    """List of the `Metric`s that a report, a dict for JSON, has figures of."""
    names = set(_keys(report))
    return [known for name, known in METRICS.items() if name in names]


def _keys(value):
    if isinstance(value, dict):
        yield from value
        for each in value.values():
            yield from _keys(each)
