import numpy as np
import pytest

from clel_tf import presets
from clel_tf.trainers import recipes
from clel_tf.trainers.warm_start import warm_start

SMALL = [
    "energy_network.widths=[8]",
    "energy_network.depths=[1]",
    "energy_network.head_width=8",
    "encoder.widths=[8]",
    "encoder.depths=[1]",
    "encoder.head_width=8",
    "replay_buffer.capacity=32",
]


def build(*assignments, seed=0, dtype="float32"):
    recipe = recipes.override(presets.get("digits"), [*SMALL, *assignments])
    model = presets.build(presets.with_dtypes(recipe, dtype), seed)
    model.compile()
    return model


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    # Weights that no training has made serve as well as those of one.
    folder, model = tmp_path_factory.mktemp("run"), build(seed=1)
    model.ema_energy_network.set_weights(
        build(seed=2).energy_network.get_weights()
    )
    model.energy_scale.assign(0.25)
    model.step.assign(7)
    model.save(folder / "model.keras")
    return folder, model


def test_weights_averages_and_chains_go_over(trained):
    folder, source = trained
    model = build()
    chains = build(seed=1).replay_buffer.images
    assert np.any(model.replay_buffer.images != chains)
    warm_start(model, folder)
    for name in ("energy_network", "encoder", "ema_energy_network"):
        pairs = zip(
            getattr(model, name).get_weights(),
            getattr(source, name).get_weights(),
        )
        for ours, theirs in pairs:
            np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(model.replay_buffer.images, chains)
    assert model.known_energy_scale() == 0.25
    # The schedules of learning rates begin anew.
    assert int(model.step.numpy()) == 0
    assert int(model.optimizer.iterations.numpy()) == 0


def test_energies_go_over_to_another_precision(trained):
    folder, source = trained
    model = build(dtype="mixed_bfloat16")
    warm_start(model, folder)
    images = np.random.default_rng(0).random((8, 8, 8, 1), np.float32)
    energies = source.predict(images, verbose=0)
    np.testing.assert_allclose(
        model.predict(images, verbose=0), energies, rtol=0.05
    )


@pytest.mark.parametrize(
    "assignment, words",
    [
        ("energy_network.head_width=12", "energy_network of .* same size"),
        ("encoder.head_width=12", "encoder of .* same size"),
        ("replay_buffer.capacity=16", r"\(16, 8, 8, 1\); received"),
    ],
)
def test_another_size_is_refused(trained, assignment, words):
    with pytest.raises(ValueError, match=words):
        warm_start(build(assignment), trained[0])


def test_only_finished_runs_have_weights(tmp_path):
    with pytest.raises(FileNotFoundError, match="finished run"):
        warm_start(build(), tmp_path)
