"""Writes a file of this version, for later versions to load.

Run once before a release, in a checkout of its own:

    python tests/golden/make.py

Beside VERSION.keras stands what its model gave then, in VERSION.npz.
"""

import pathlib

import numpy as np

import clel_tf
from clel_tf import data
from clel_tf import presets

SMALL = {"widths": [4, 6], "depths": [1, 1], "head_width": 8, "latent_dim": 5}


def main():
    config = presets.get("digits")
    config["energy_network"].update(SMALL, feature_dim=5, dtype="float32")
    config["encoder"].update(SMALL, dtype="float32")
    config["sampler"].update(num_steps=2, sample_steps=3)
    config["replay_buffer"]["capacity"] = 16
    digits = data.load("digits")
    model = presets.build(config)
    model.compile(total_steps=3)
    model.fit(digits.x_train[:24], batch_size=8, shuffle=False, verbose=0)
    images = digits.x_test[:6]
    model.calibrate_ood(digits.x_test[6:30], 0.1)
    folder = pathlib.Path(__file__).parent
    path = folder / f"{clel_tf.__version__}.keras"
    if path.exists():
        raise FileExistsError(f"{path} is a promise; it stays as it is.")
    model.save(path)
    np.savez_compressed(
        path.with_suffix(".npz"),
        images=images,
        energies=model.predict(images, verbose=0),
        latents=model.latents(images),
        scores=model.score(images),
        threshold=model.ood_threshold,
        samples=model.sample(4, seed=1),
        step=model.step.numpy(),
        chains=model.replay_buffer.images,
    )


if __name__ == "__main__":
    main()
