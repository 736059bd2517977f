import keras
import numpy as np
import pytest
import tensorflow as tf

from clel_tf import presets
from clel_tf import random
from clel_tf.samplers import MALA
from clel_tf.samplers import SGLD
from clel_tf.samplers import Candidates
from clel_tf.samplers import energies
from clel_tf.samplers.energies import Conditional
from clel_tf.samplers.energies import Inpaint

LATENTS = np.random.default_rng(0).normal(size=(6, 8))


@pytest.fixture(scope="module")
def model():
    return build()


def build(**changes):
    config = presets.get("digits")
    small = {"widths": [8, 12], "depths": [1, 1], "head_width": 16}
    small["dtype"] = "float32"
    config["energy_network"].update(small, latent_dim=8)
    config["encoder"].update(small, latent_dim=8)
    config["sampler"].update(num_steps=3, sample_steps=14)
    config["model"].update(changes)
    model = presets.build(config, 0)
    model.measure_energy_scale(images(8))
    return model


def images(n):
    rng = np.random.default_rng(1)
    return rng.random((n, 8, 8, 1)).astype("float32")


def traced(monkeypatch, term):
    traces, value = [], term.value

    def counting(*args):
        traces.append(1)
        return value(*args)

    monkeypatch.setattr(term, "value", counting)
    return traces


def test_conditions_and_strengths_do_not_trace_again(model, monkeypatch):
    traces = traced(monkeypatch, Conditional)
    # Of one number of rows after the other, from which on any is known.
    for n in (4, 6):
        model.sample(n, energy=Conditional(LATENTS[0]))
    before = len(traces)
    assert before > 0
    model.sample(6, energy=Conditional(LATENTS, ratio=0.5))
    model.sample(5, energy=Conditional(LATENTS[1], beta=np.arange(5)), seed=3)
    model.sample(6, energy=Conditional(LATENTS[2]), num_steps=20)
    assert len(traces) == before
    # Another structure is another graph.
    model.sample(6, energy=2.0 * Conditional(LATENTS[0]))
    assert len(traces) > before


def test_a_function_of_ones_own_is_traced_once_for_all_its_tensors(model):
    traces = []

    def pull(x, targets):
        traces.append(1)
        return tf.reduce_sum((x - targets) ** 2, axis=(1, 2, 3))

    for seed in range(3):
        targets = images(6) * 0.1 * seed
        energy = energies.WithoutPrior([energies.Function(pull, targets)])
        model.sample(6, energy=energy, num_steps=2, seed=seed)
        if seed == 0:
            before = len(traces)
    assert len(traces) == before


def test_each_row_has_its_own_condition(model):
    own = model.sample(6, latents=LATENTS)
    row = model.sample(6, latents=LATENTS[2])
    np.testing.assert_allclose(own[2], row[2], atol=1e-5)
    assert np.abs(own[3] - row[3]).max() > 1e-3


def test_a_row_does_not_depend_on_the_rows_beside_it(model):
    either = Conditional(LATENTS[0]) | Conditional(LATENTS[1])
    whole = model.sample(6, energy=either)
    chunks = model.sample(6, energy=either, batch_size=4)
    fewer = model.sample(3, energy=either)
    np.testing.assert_allclose(chunks, whole, atol=1e-5)
    np.testing.assert_allclose(fewer, whole[:3], atol=1e-5)


def test_candidates_of_the_strongest_guidance_go_on(model):
    # The guidance is nothing but brightness, so far stronger than the noise
    # that the brightest of the candidates is drawn; one step moves no pixel by
    # more than 1e-3.
    def darkness(x):
        return -1e-4 * tf.reduce_mean(x, axis=(1, 2, 3))

    energy = energies.WithoutPrior([energies.Function(darkness)])
    sampler = SGLD(step_size=1e-3, noise_scale=1e-6, sample_steps=2)
    one, best = (
        model.sample(
            400,
            energy=energy,
            sampler=sampler,
            candidates=Candidates(count, 0.5),
        ).mean(axis=(1, 2, 3))
        for count in (1, 16)
    )
    # Means of 64 uniform pixels: N(1/2, 1/768); the largest of 16 normals has
    # the mean 1.766 and the deviation 0.59.
    deviation = 768**-0.5
    assert one.mean() == pytest.approx(0.5, abs=4 * deviation / 20)
    expected = 0.5 + 1.766 * deviation
    assert best.mean() == pytest.approx(expected, abs=0.15 * deviation)


def test_candidates_are_drawn_in_proportion_at_the_chains_temperature(model):
    # Two candidates, whose guidance differs by less than T: weights
    # exp(-G / T) take the mean of a uniform pixel from 1/2 to sum(w x).
    def guidance(x):
        return -3.0 * x[:, 0, 0, 0]

    energy = energies.WithoutPrior([energies.Function(guidance)])
    sampler = SGLD(step_size=1e-9, noise_scale=(2e-9) ** 0.5, sample_steps=2)
    x = model.sample(
        2000, energy=energy, sampler=sampler, candidates=Candidates(2, 0.5)
    )[:, 0, 0, 0]
    a, b = np.random.default_rng(2).random((2, 200_000))
    w = 1.0 / (1.0 + np.exp(-3.0 * (a - b)))
    expected = np.mean(w * a + (1 - w) * b)
    assert expected > 0.58
    assert x.mean() == pytest.approx(expected, abs=4 * 0.29 / 2000**0.5)


def test_unguided_chains_are_their_own_only_candidates(model):
    plain = model.sample(3)
    np.testing.assert_array_equal(model.sample(3, candidates=1), plain)
    known = Inpaint(images(3), np.ones((8, 8, 1)))
    np.testing.assert_allclose(model.sample(3, energy=known), plain, atol=1e-6)


def test_components_are_those_of_the_samples(model):
    zero, one = (
        Inpaint(np.full((8, 8, 1), v), np.zeros((8, 8, 1))) for v in (0.0, 1.0)
    )
    either = zero | one
    (components,) = model.components(either, 40, seed=5)
    drawn = model.sample(40, energy=either, num_steps=1, seed=5)
    np.testing.assert_array_equal(drawn[:, 0, 0, 0], components)


def test_schedules_go_on_after_the_candidates(model):
    # Steps of 1 up to the tenth, and of nothing after: nothing moves there.
    steps = keras.optimizers.schedules.PiecewiseConstantDecay([5], [1.0, 1e-9])
    sampler = SGLD(steps, 0.0, sample_steps=14)
    pull = energies.WithoutPrior(
        [energies.Function(lambda x: 0.05 * tf.reduce_sum(x, (1, 2, 3)))]
    )
    start, end = (
        model.sample(
            2, energy=pull, sampler=sampler, candidates=c, num_steps=14
        )
        for c in (Candidates(2, 0.5), 1)
    )
    # Six steps of 0.05 down, but for the bound, whatever they are made in.
    for images_ in (start, end):
        assert np.mean(images_ == 0.0) == pytest.approx(0.3, abs=0.15)


def test_inpainting_keeps_the_pixels_and_paints_the_others(model):
    given, mask = images(3), np.zeros((8, 8, 1))
    mask[:, 4:] = 1
    painted = model.sample(3, energy=Inpaint(given, mask))
    np.testing.assert_array_equal(painted[:, :, :4], given[:, :, :4])
    assert np.abs(painted[:, :, 4:] - given[:, :, 4:]).max() > 0.1


def test_rounds_take_views_and_the_final_steps_none(monkeypatch):
    model = build(chain_augmentation_probability=1.0)
    seen = []
    layer = model.chain_augmentation
    augment = type(layer).call

    def counting(self, images, seed=None):
        seen.append(images.shape)
        return augment(self, images, seed=seed)

    monkeypatch.setattr(type(layer), "call", counting)
    rounds = model.sample(3, rounds=3, final_steps=5, num_steps=14)
    assert len(seen) == 1  # traced once, run twice
    plain = model.sample(3, num_steps=14)
    assert np.abs(rounds - plain).max() > 0.01
    # Rows stay what they are without those beside them.
    fewer = model.sample(2, rounds=3, final_steps=5, num_steps=14)
    np.testing.assert_allclose(fewer, rounds[:2], atol=1e-5)


@pytest.mark.parametrize(
    ("steps", "rounds", "final", "expected"),
    [
        (14, 1, 0, [14]),
        (14, 3, 5, [3, 3, 8]),
        (600, 10, 0, [60] * 10),
        (7, 2, 7, [0, 7]),
    ],
)
def test_rounds_share_the_steps(steps, rounds, final, expected):
    model = build(chain_augmentation_probability=1.0)
    assert model.stretches(steps, rounds, final) == expected


def test_other_samplers_take_the_same_energies(model):
    start = model.sample(4)
    mask = np.zeros((8, 8, 1))
    mask[:4] = 1
    energy = Conditional(LATENTS[0]) + Inpaint(start, mask)
    adjusted = MALA(1.0, model.sampler.langevin_temperature)
    moved = model.sample(
        4, energy=energy, initial=start, sampler=adjusted, num_steps=5
    )
    assert moved.shape == start.shape
    np.testing.assert_array_equal(moved[:, 4:], start[:, 4:])
    assert 0 < np.abs(moved - start).max() < 0.2


def test_a_trace_follows_the_chains_of_sample(model):
    mask = np.zeros((8, 8, 1))
    mask[:4] = 1
    energy = Conditional(LATENTS[:4]) + Inpaint(images(4), mask)
    trace = model.trace(4, energy=energy, num_steps=6, every=3, seed=2)
    expected = model.sample(4, energy=energy, num_steps=6, seed=2, candidates=1)
    assert trace.steps.tolist() == [3, 6]
    np.testing.assert_allclose(trace.images[-1], expected, atol=1e-5)


def test_the_energys_scale_is_the_mean_of_datas_energies(model):
    data = images(20)
    expected = model.predict(data, verbose=0).mean()
    assert model.measure_energy_scale(data) == pytest.approx(expected)
    assert model.known_energy_scale() == pytest.approx(expected)


def test_the_energys_scale_follows_training_where_steps_are_healthy():
    model = build(ema_start=3, ema_decay=0.5)
    model.energy_scale.assign(0.0)
    expected = [4.0, 8.0, 2.0, 4.0, 4.0]  # copies until step 3, then averages
    for step, energy in enumerate((4.0, 8.0, 2.0, 6.0, np.nan)):
        model.step.assign(step)
        model._update_energy_scale(tf.constant(energy), np.isfinite(energy))
        assert model.known_energy_scale() == expected[step]


def test_a_file_without_the_energys_scale_loads(tmp_path):
    model = build()
    seen = {}
    model.save_own_variables(seen)
    del seen["3"]
    other = build()
    other.step.assign(5)
    other.load_own_variables(seen)
    assert int(other.step) == 0
    assert other.known_energy_scale() == model.known_energy_scale()


def test_usual_guidance_is_training_s_where_no_scale_is_known():
    model = build(beta=0.25)
    assert float(model.guidance(LATENTS[0]).ratio) > 0
    model.energy_scale.assign(0.0)
    assert float(model.guidance(LATENTS[0]).beta) == 0.25
    with pytest.raises(ValueError, match="measure_energy_scale"):
        model.sample(2, energy=Conditional(LATENTS[0]))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"rounds": 2}, "chain_augmentation_probability"),
        ({"rounds": 0}, "rounds"),
        ({"final_steps": 15}, "final_steps"),
        ({"candidates": 0}, "count"),
        ({"candidates": 4, "initial": images(2)}, "noise only"),
        ({"energy": Inpaint(images(3), np.ones((8, 8, 1)))}, "2 rows"),
        ({"energy": Inpaint(images(2)[:, :4], np.ones((8, 8, 1)))}, "shape"),
    ],
)
def test_bad_requests_are_refused(model, arguments, words):
    with pytest.raises(ValueError, match=words):
        model.sample(2, **arguments)


def test_latents_of_views_are_means_of_unit_vectors(model):
    data = images(5)
    one, many = (model.latents(data, views=v) for v in (1, 32))
    norms = np.linalg.norm(many, axis=1)
    np.testing.assert_allclose(norms, 1.0, atol=1e-5)
    # The same seed gives the same views, another one others.
    np.testing.assert_array_equal(one, model.latents(data, views=1))
    other = model.latents(data, views=1, seed=1)
    assert np.abs(one - other).max() > 1e-3
    keys = [random.fold_in(random.as_key(0), i) for i in range(32)]
    views = [
        model.augmentation(data, seed=random.fold_in(key, 0)).numpy()
        for key in keys
    ]
    total = sum(model.unit_latents(view).numpy() for view in views)
    expected = total / np.linalg.norm(total, axis=1, keepdims=True)
    np.testing.assert_allclose(many, expected, atol=1e-4)


def test_energy_latents_are_the_networks_own(model):
    data = images(3)
    _, projected = model.ema_energy_network(data)
    lengths = np.linalg.norm(projected, axis=1, keepdims=True)
    np.testing.assert_allclose(
        model.energy_latents(data), projected / lengths, atol=1e-5
    )
