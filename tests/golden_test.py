"""Files of released versions load, and their models are what they were."""

import pathlib

import keras
import numpy as np
import pytest

import clel_tf

FILES = sorted(pathlib.Path(__file__).parent.glob("golden/*.keras"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_of_a_version_loads(path):
    then = np.load(path.with_suffix(".npz"))
    model = keras.saving.load_model(path)
    assert isinstance(model, clel_tf.models.CLEL)
    images = then["images"]
    for name, now in {
        "energies": model.predict(images, verbose=0),
        "latents": model.latents(images),
        "scores": model.score(images),
        "samples": model.sample(4, seed=1),
        "threshold": model.ood_threshold,
    }.items():
        np.testing.assert_allclose(now, then[name], rtol=1e-4, atol=1e-5)
    assert model.step.numpy() == then["step"] == 3
    np.testing.assert_array_equal(model.replay_buffer.images, then["chains"])
    # It trains on, with its optimizers' states.
    assert model.optimizer.iterations.numpy() == 3
    model.run_eagerly = True  # which a single step is faster in
    history = model.fit(images, batch_size=6, verbose=0).history
    assert model.step.numpy() == 4 and np.isfinite(history["loss"]).all()


def test_there_are_such_files():
    assert FILES
