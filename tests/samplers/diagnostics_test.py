import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy import stats

from clel_tf import random
from clel_tf.samplers import MALA
from clel_tf.samplers import SGLD
from clel_tf.samplers import diagnostics
from clel_tf.samplers import diagnostics_plot

SHAPE = (4, 3, 1)


def energy(x):
    return 10.0 * tf.reduce_sum((x - 0.5) ** 2, axis=(1, 2, 3))


def chains(rows=3, shape=SHAPE):
    keys = random.fold_in(random.as_key(0), tf.range(rows))
    return random.uniform(keys, shape), keys


def sgld(**kwargs):
    return SGLD(**{"step_size": 0.01, "noise_scale": 0.02, **kwargs})


def mala():
    return MALA(step_size=0.03, temperature=0.02)


def traced(num_steps, every=1, sampler=None, energy_fn=energy, **kwargs):
    sampler = sampler or sgld()
    return diagnostics.trace(
        sampler, energy_fn, *chains(), num_steps, every, **kwargs
    )


def an_example(t=8, n=3, **kwargs):
    rng = np.random.default_rng(0)
    rows = rng.random((4, t, n)).astype("float32")
    noise = np.full(t, 0.5, "float32")
    return diagnostics.Trace(
        np.arange(1, t + 1), *rows, noise, noise, None, rng.random((t, n, 4))
    )._replace(**kwargs)


@pytest.mark.parametrize("sampler", [sgld(), mala()], ids=["SGLD", "MALA"])
def test_the_images_are_those_of_the_chain(sampler):
    trace = traced(11, 4, sampler)
    np.testing.assert_array_equal(trace.steps, [4, 8, 11])
    assert trace.images.shape == (3, 3, *SHAPE)
    for steps, images in zip(trace.steps, trace.images, strict=True):
        samples, _ = sampler.run(energy, *chains(), num_steps=int(steps))
        np.testing.assert_allclose(images, samples, atol=1e-6)


@pytest.mark.parametrize("sampler", [sgld(), mala()], ids=["SGLD", "MALA"])
def test_the_records_are_of_the_last_steps(sampler):
    trace = traced(6, 4, sampler)
    for row, steps in enumerate(trace.steps):
        _, info = sampler.run(energy, *chains(), num_steps=int(steps))
        for name, expected in info._asdict().items():
            received = getattr(trace, name)[row]
            np.testing.assert_allclose(received, expected, rtol=1e-4)
    assert (trace.acceptance is None) == isinstance(sampler, SGLD)


def test_each_step_by_hand():
    trace = traced(5)
    before = np.concatenate([chains()[0][None], trace.images[:-1]])
    axes = (2, 3, 4)
    off = before.astype("float64") - 0.5
    moved = trace.images - before
    for received, expected in (
        (trace.energy, 10 * (off**2).sum(axes)),
        (trace.gradient_norm, 20 * np.sqrt((off**2).sum(axes))),
        (trace.drift, 0.01 * 20 * np.sqrt((off**2).mean(axes))),
        (trace.displacement, np.sqrt((moved**2).mean(axes))),
    ):
        np.testing.assert_allclose(received, expected, rtol=1e-4)
    np.testing.assert_allclose(trace.noise, np.full(5, 0.02))
    np.testing.assert_allclose(trace.temperature, np.full(5, 0.02))


def test_settings_may_be_schedules():
    decay = keras.optimizers.schedules.PiecewiseConstantDecay
    sampler = sgld(
        step_size=decay([2], [0.04, 0.01]), noise_scale=decay([1], [0.2, 0.1])
    )
    trace = traced(4, sampler=sampler)
    # The steps have the numbers 0 to 3; a boundary belongs to what is before.
    sizes = np.array([0.04, 0.04, 0.04, 0.01])
    noise = np.array([0.2, 0.2, 0.1, 0.1])
    drift = sizes[:, None] * trace.gradient_norm / 12**0.5
    np.testing.assert_allclose(trace.drift, drift, rtol=1e-6)
    np.testing.assert_allclose(trace.noise, noise, rtol=1e-6)
    temperature = noise**2 / (2 * sizes)
    np.testing.assert_allclose(trace.temperature, temperature, rtol=1e-6)


@pytest.mark.parametrize("sampler", [sgld(), mala()], ids=["SGLD", "MALA"])
def test_a_projection_holds_at_every_record(sampler):
    def project(x):
        return tf.concat([tf.fill((3, 1, 3, 1), 0.25), x[:, 1:]], axis=1)

    trace = traced(4, sampler=sampler, project=project)
    assert np.all(trace.images[:, :, 0] == 0.25)
    assert np.ptp(trace.images[:, :, 1:], axis=0).max() > 0.01


@pytest.mark.parametrize("jit_compile", [False, True])
def test_one_graph_however_many_steps(jit_compile):
    traces = []

    def counted(x):
        traces.append(x.shape)
        return energy(x)

    sampler = sgld(jit_compile=jit_compile)
    trace = traced(30, 7, sampler, energy_fn=counted)
    assert traces == [(3, *SHAPE)]
    np.testing.assert_allclose(trace.images, traced(30, 7).images, atol=1e-5)


@pytest.mark.parametrize("name", ["num_steps", "every"])
@pytest.mark.parametrize("value", [0, 2.0])
def test_refuses_bad_numbers_of_steps(name, value):
    arguments = {"num_steps": 3, "every": 1, name: value}
    with pytest.raises(ValueError, match=f"`{name}` .*received: {value}"):
        diagnostics.trace(sgld(), energy, *chains(), **arguments)


def halves(draws):
    t = len(draws) // 2
    return np.concatenate([draws[:t], draws[-t:]], axis=1)


def gelman_rubin(draws):
    within = draws.var(axis=0, ddof=1).mean()
    between = draws.mean(axis=0).var(ddof=1)
    return ((1 - 1 / len(draws)) + between / within) ** 0.5


def normal_scores(draws):
    ranks = stats.rankdata(draws, axis=None).reshape(draws.shape)
    return stats.norm.ppf((ranks - 3 / 8) / (draws.size + 1 / 4))


def rank_rhat(draws):
    folded = np.abs(draws - np.median(draws))
    scores = normal_scores(draws), normal_scores(folded)
    return max(map(gelman_rubin, scores))


@pytest.mark.parametrize("t", [4, 5, 60])
@pytest.mark.parametrize("scale", [1.0, 3.0])
@pytest.mark.parametrize(
    "method,expected", [("split", gelman_rubin), ("rank", rank_rhat)]
)
def test_split_rhat_is_the_formulas(t, scale, method, expected):
    # The chains differ by trend, by mean, and by spread.
    draws = np.random.default_rng(t).normal(size=(t, 6, 2))
    draws[:, 0] += np.linspace(0, 2, t)[:, None]
    draws[:, 1, 0] += 1.5
    draws[:, 2] *= scale
    received = diagnostics.split_rhat(draws.astype("float32"), method)
    rounded = draws.astype("float32").astype("float64")
    for i in range(2):
        by_hand = expected(halves(rounded[..., i]))
        assert received[i] == pytest.approx(by_hand, rel=1e-9)
        alone = diagnostics.split_rhat(rounded[..., i], method)
        assert isinstance(alone, float) and alone == received[i]


def test_rhat_of_chains_that_stand_still():
    apart = np.broadcast_to([0.0, 1.0, 3.0], (8, 3))
    assert diagnostics.split_rhat(apart) == np.inf
    assert np.isnan(diagnostics.split_rhat(np.ones((8, 3))))


def test_values_that_are_not_numbers():
    draws = np.random.default_rng(0).normal(size=(20, 3, 2))
    draws[7, 1, 0] = np.nan
    for statistic in (
        diagnostics.split_rhat,
        diagnostics.effective_sample_size,
    ):
        assert list(np.isnan(statistic(draws))) == [True, False]


# x_t = rho x_(t-1) + noise: rho_k = rho**k, so that the draws are worth
# (1 - rho) / (1 + rho) independent ones each.
@pytest.mark.parametrize("rho", [0.0, 0.6, 0.9, -0.4])
@pytest.mark.parametrize("method", ["bulk", "mean"])
def test_effective_sample_size_of_an_autoregression(rho, method):
    rng = np.random.default_rng(1)
    x = [rng.normal(size=16) / (1 - rho**2) ** 0.5]
    for _ in range(3999):
        x.append(rho * x[-1] + rng.normal(size=16))
    expected = 16 * 4000 * (1 - rho) / (1 + rho)
    received = diagnostics.effective_sample_size(np.array(x), method)
    assert received == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("shape", [(3, 4), (8, 1), (8,), (8, 2, 2, 2)])
def test_refuses_draws_of_other_shapes(shape):
    with pytest.raises(ValueError, match="draws of shape .*received"):
        diagnostics.split_rhat(np.zeros(shape))


@pytest.mark.parametrize(
    "function", [diagnostics.split_rhat, diagnostics.effective_sample_size]
)
def test_says_what_to_install(monkeypatch, function):
    monkeypatch.setitem(sys.modules, "arviz_stats", None)
    monkeypatch.setitem(sys.modules, "arviz_stats.base", None)
    with pytest.raises(ImportError, match=r"clel_tf\[diagnostics\]"):
        function(np.zeros((8, 2)))


def two_modes(x, deviation=0.03):
    """-log density of two Gaussians, at grey 1/4 and at grey 3/4."""
    x = tf.reshape(x, (-1, 4))
    squares = [tf.reduce_sum((x - m) ** 2, axis=1) for m in (0.25, 0.75)]
    logits = -0.5 * tf.stack(squares) / deviation**2
    return -tf.reduce_logsumexp(logits, axis=0)


@pytest.fixture(scope="module")
def two_mode_trace():
    step_size = 0.1 * 0.03**2
    sampler = SGLD(step_size, (2 * step_size) ** 0.5)
    starts = np.repeat([0.3, 0.7], 8)[:, None, None, None] * np.ones((2, 2, 1))
    _, keys = chains(16)
    return diagnostics.trace(
        sampler, two_modes, starts, keys, num_steps=800, every=2
    )


def test_chains_that_stay_in_one_of_two_modes_show(two_mode_trace):
    grey = two_mode_trace.images[200:].mean(axis=(2, 3, 4))
    assert np.all((grey > 0.5) == np.repeat([False, True], 8))
    # R-hat of the values has the distance of the modes in deviations.
    expected = gelman_rubin(halves(grey.astype("float64")))
    values = diagnostics.split_rhat(grey, "split")
    assert values == pytest.approx(expected, rel=1e-5) and values > 10
    # That of ranks has the distance of the halves of a standard normal
    # variable, whose means are sqrt(2 / pi) from zero.
    ranks = diagnostics.split_rhat(grey)
    assert ranks == pytest.approx((1 - 2 / np.pi) ** -0.5, rel=0.1)


def test_a_summary_of_two_modes(two_mode_trace):
    summary = diagnostics.summarize(two_mode_trace)
    # The modes are alike: nothing of them is in the energy.
    assert summary["rhat_energy"] < 1.05
    assert summary["rhat_features"] > 1.5
    assert 400 < summary["ess_energy"] < summary["draws"] == 3200
    assert summary["ess_features"] < 40
    assert summary["temperature"] == pytest.approx(1.0)
    # Drift is 0.1 (x - mode), a tenth of 0.03; noise is sqrt(0.2) 0.03.
    ratio = 0.1 / 0.2**0.5
    assert summary["drift_over_noise"] == pytest.approx(ratio, rel=0.4)
    assert summary["saturated"] == 0 and "acceptance" not in summary


def test_a_summary_by_hand():
    images = np.full((8, 3, 4), 0.5)
    images[-1, 0, :3] = [0.0, 1.0, 1.0]
    drift = np.ones((8, 3)) * [1.0, 2.0, 7.0]
    acceptance = np.repeat([0.0, 0.5, 0.75, 1.0], 2)[:, None] * np.ones(3)
    trace = an_example(images=images, drift=drift, acceptance=acceptance)
    summary = diagnostics.summarize(trace, lambda x: x[:, :1], 0.25)
    assert summary["draws"] == 18
    assert summary["acceptance"] == 0.75
    assert summary["drift_over_noise"] == 4.0
    assert summary["saturated"] == 0.25
    assert summary["temperature"] == 0.5


def test_a_summary_is_of_the_worst_feature_after_warm_up():
    trace = an_example(t=20)
    features = trace.images[..., :2] + [[0, 0], [0, 2], [0, 5]]
    values = iter(features[5:])
    summary = diagnostics.summarize(trace, lambda x: next(values), 0.25)
    for name, draws in (("energy", trace.energy), ("features", features)):
        rhat = diagnostics.split_rhat(draws[5:])
        worth = diagnostics.effective_sample_size(draws[5:])
        assert summary[f"rhat_{name}"] == np.max(rhat)
        assert summary[f"ess_{name}"] == np.min(worth)
    assert np.ptp(rhat) > 0.1 and np.ptp(worth) > 1


def test_a_summary_of_chains_that_diverged():
    trace = an_example(images=np.full((8, 3, 4), np.nan))
    summary = diagnostics.summarize(trace)
    assert np.isnan(summary["rhat_features"])
    assert np.isfinite(summary["rhat_energy"])


def test_a_summary_without_noise():
    trace = an_example(noise=np.zeros(8), temperature=np.zeros(8))
    assert diagnostics.summarize(trace)["drift_over_noise"] == np.inf


@pytest.mark.parametrize("warm_up", [-0.1, 1.0, float("nan")])
def test_refuses_a_warm_up_of_more_than_all(warm_up):
    with pytest.raises(ValueError, match="`warm_up` .*received"):
        diagnostics.summarize(an_example(), warm_up=warm_up)


def test_quality_by_age():
    trace = an_example()
    quality = diagnostics.quality_by_age(
        trace, lambda x: {"mean": x.mean(), "largest": float(x.max())}
    )
    assert list(quality) == ["mean", "largest"]
    means = trace.images.mean(axis=(1, 2))
    np.testing.assert_allclose(quality["mean"], means)
    largest = trace.images.max(axis=(1, 2))
    np.testing.assert_allclose(quality["largest"], largest)


def lines(figure, label):
    names = {x.get_ylabel() or x.get_title(loc="left"): x for x in figure.axes}
    return np.array([line.get_ydata() for line in names[label].lines])


def test_the_page_shows_every_chain():
    acceptance = np.linspace(0.0, 1.0, 24).reshape(8, 3)
    trace = an_example(acceptance=acceptance)
    figure = diagnostics_plot.draw(trace, {}, {})
    for label, values in (
        ("energy", trace.energy),
        ("displacement of a pixel", trace.displacement),
        ("acceptance", acceptance),
    ):
        *each, median = lines(figure, label)
        np.testing.assert_array_equal(each, values.T)
        np.testing.assert_array_equal(median, np.median(values, axis=1))
    drift, noise = lines(figure, "root mean square a pixel and step")
    np.testing.assert_array_equal(drift, np.median(trace.drift, axis=1))
    np.testing.assert_array_equal(noise, trace.noise)


def test_the_page_shows_quality_and_the_summary():
    quality = {"distance": np.arange(8.0), "coverage": np.ones(8)}
    summary = {"rhat_energy": 1.25, "draws": 12345.0}
    figure = diagnostics_plot.draw(an_example(), quality, summary)
    for name, values in quality.items():
        np.testing.assert_array_equal(lines(figure, name), [values])
    (table,) = [x for axis in figure.axes for x in axis.tables]
    texts = [cell.get_text().get_text() for cell in table.get_celld().values()]
    assert texts[:2] == ["R-hat, energy", "1.25"]
    assert texts[2:] == ["draws after warm-up", "12,345"]


def test_the_page_shows_saturation_where_every_step_is_accepted():
    images = np.full((8, 3, 4), 0.5)
    images[5:, 1, 0] = 1.0
    figure = diagnostics_plot.draw(an_example(images=images), {}, {"draws": 24})
    each = lines(figure, "saturated pixels")[:3]
    expected = np.zeros((3, 8))
    expected[1, 5:] = 0.25
    np.testing.assert_array_equal(each, expected)


def test_plots_a_page(tmp_path):
    path = tmp_path / "chains.png"
    path.write_bytes(b"old")
    diagnostics_plot.plot(an_example(t=12), path)
    with Image.open(path) as page:
        assert page.format == "PNG" and min(page.size) > 500
        assert np.ptp(np.asarray(page.convert("L"))) == 255
    assert [x.name for x in tmp_path.iterdir()] == ["chains.png"]


def test_refuses_another_kind_of_file(tmp_path):
    with pytest.raises(ValueError, match=r"\.png; received"):
        diagnostics_plot.plot(an_example(), tmp_path / "chains.jpg")
