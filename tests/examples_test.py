import importlib.util
import pathlib
import runpy

import numpy as np
import pytest
from matplotlib import pyplot as plt

EXAMPLES = pathlib.Path(__file__).parent.parent / "examples"
SCRIPTS = sorted(path.stem for path in EXAMPLES.glob("*.py"))
NOTEBOOKS = sorted(path.stem for path in EXAMPLES.glob("notebooks/*.py"))


def example(name):
    path = EXAMPLES / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_chains_have_the_moments_of_a_density_in_the_plane(tmp_path):
    figures = example("density_2d").main(steps=1000, chains=2000, out=tmp_path)
    exact = figures.pop("exact")
    # Four standard errors of so many draws, the bend's from 200,000 of them.
    errors = {
        "mean of x": 0.0107,
        "mean of y": 0.0073,
        "deviation of x": 0.0076,
        "deviation of y": 0.0105,
        "bend": 0.04,
    }
    for found in figures.values():
        for name, value in exact.items():
            assert found[name] == pytest.approx(value, abs=errors[name])
    assert (tmp_path / "density_2d.png").is_file()


def test_the_densitys_moments_are_those_of_draws():
    density = example("density_2d")
    a, b = np.random.default_rng(0).normal(size=(2, 200_000))
    points = np.stack(
        [0.5 + 0.12 * a, 0.3 + 0.05 * (a**2 - 1) + 0.04 * b], axis=1
    )
    assert density.moments(points) == pytest.approx(density.EXACT, abs=3e-3)
    energies = np.asarray(density.energy(points))
    np.testing.assert_allclose(energies, (a**2 + b**2) / 2)


@pytest.mark.slow
def test_simclr_separates_digits_without_labels():
    figures = example("simclr").main(steps=60)
    before, after = figures["untrained"], figures["trained"]
    assert after["neighbour"] > 0.85
    assert after["neighbour"] > before["neighbour"]


@pytest.mark.slow
def test_a_discriminator_stays_normalised_and_a_generator_learns(tmp_path):
    figures = example("spectral_gan").main(out=tmp_path)
    assert figures["frechet_distance"] < 0.5 * figures["untrained"]
    assert figures["norms"] == pytest.approx([1.0] * 3, rel=0.05)
    assert (tmp_path / "spectral_gan.png").is_file()


@pytest.mark.slow
def test_a_loop_of_ones_own_trains_an_energy(tmp_path):
    figures = example("custom_loop").main(steps=200, count=200, out=tmp_path)
    samples, noise = figures["samples"], figures["noise"]
    assert samples["frechet_distance"] < 0.5 * noise["frechet_distance"]
    assert samples["precision"] > noise["precision"]
    assert (tmp_path / "custom_loop.png").is_file()


@pytest.mark.slow
def test_a_classifier_is_an_energy_based_model(tmp_path):
    figures = example("jem_classifier").main(steps=600, out=tmp_path)
    assert figures["accuracy"] > 0.85
    assert figures["frechet_distance"] < 10.0  # noise has 20
    assert (tmp_path / "jem_classifier.png").is_file()


@pytest.mark.slow
def test_a_probe_reads_classes_off_latents():
    figures = example("linear_probe").main(steps=100)
    for kind in ("latents", "pixels"):
        few, some, every = (figures[kind][n] for n in ("5", "20", "all"))
        assert few < some < every
        assert every > 0.8  # a tenth is chance


@pytest.fixture
def notebook(monkeypatch):
    """Runs a notebook in short; gives its names and the figures it shows."""
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.gcf()))
    monkeypatch.setenv("SAMPLES", "2")

    def run(name, steps):
        monkeypatch.setenv("STEPS", str(steps))
        return runpy.run_path(EXAMPLES / "notebooks" / f"{name}.py"), shown

    yield run
    plt.close("all")


@pytest.mark.notebook
@pytest.mark.slow
def test_the_notebook_trains_and_steers(notebook):
    names, shown = notebook("train_and_steer", steps=20)
    assert names["model"].step.numpy() == 20
    assert len(shown) == 7
    known = names["chosen"][:, :, :4]
    for images in names["painted"].values():
        np.testing.assert_allclose(images[:, :, :4], known, atol=1e-6)


@pytest.mark.notebook
@pytest.mark.slow
def test_the_notebook_finds_the_odd_one(notebook):
    names, shown = notebook("detect_the_odd_one_out", steps=60)
    assert len(shown) == 2
    assert names["found"]["photographs"] > 0.5  # an eighth is chance
    assert names["alarms"] < 0.2


def test_every_example_is_listed():
    text = (EXAMPLES / "README.md").read_text()
    for name in SCRIPTS:
        assert f"python examples/{name}.py" in text
    for name in NOTEBOOKS:
        assert f"python examples/notebooks/{name}.py" in text
