"""The library's scores, with every choice that validation decides on."""

from clel_tf import ood

# Weights of the latents, in multiples of the usual energy of data.
BETAS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
FAMILIES = {
    "marginal energy": {},
    "joint energy": {"beta": BETAS},
    "typicality": {},
    "gradient norm": {},
    "view difference": {},
    "latent neighbours": {
        "k": (1, 5, 20),
        "network": ("encoder", "energy_network"),
    },
    "neighbour energy": {"ratio": (1.0, 3.0, 10.0, 30.0), "k": (1, 5, 10)},
}


def fit(family, options, model, images):
    """Adapts a score.

    Args:
        family: str, of `FAMILIES`.
        options: dict, a choice of each of its settings.
        model: `CLEL`, which knows its energy scale.
        images: uint8 array `(n, ...)`, the training images.

    Returns:
        Function of images giving scores, higher where they are less likely.
    """
    options = dict(options)
    if "beta" in options:
        options["beta"] *= model.known_energy_scale()
    score = _SCORES[family](**options)
    score.adapt(model, images)
    return lambda x: model.score(x, score=score)


_SCORES = {
    "marginal energy": ood.MarginalEnergy,
    "joint energy": ood.JointEnergy,
    "typicality": ood.Typicality,
    "gradient norm": ood.GradientNorm,
    "view difference": ood.ViewDifference,
    "latent neighbours": ood.LatentNeighbors,
    "neighbour energy": ood.NeighborEnergy,
}
