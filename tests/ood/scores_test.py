import functools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from clel_tf import ood
from clel_tf import random


def flat(images):
    return images.reshape(len(images), -1).astype("float64")


def energy(network, images):
    return 0.5 * np.sum((flat(images) @ network.get_weights()[0]) ** 2, axis=1)


def unit(images, kernel):
    vectors = flat(images) @ kernel
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def close(actual, expected):
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=2e-5)


@pytest.fixture(scope="module")
def scores(model, train):
    scores = {
        "marginal_energy": ood.MarginalEnergy(),
        "joint_energy": ood.JointEnergy(),
        "joint_energy_of_beta": ood.JointEnergy(beta=20),
        "typicality": ood.Typicality(),
        "neighbors": ood.LatentNeighbors(k=2),
        "neighbors_of_energy": ood.LatentNeighbors(network="energy_network"),
        "neighbor_energy": ood.NeighborEnergy(k=2),
        "gradient_norm": ood.GradientNorm(),
        "view_difference": ood.ViewDifference(views=2, seed=5),
        "energy_difference": ood.EnergyDifference(model.energy_network),
    }
    for score in scores.values():
        score.adapt(model, train)
    return scores


NAMES = (
    "marginal_energy",
    "joint_energy",
    "joint_energy_of_beta",
    "typicality",
    "neighbors",
    "neighbors_of_energy",
    "neighbor_energy",
    "gradient_norm",
    "view_difference",
    "energy_difference",
)
each = functools.partial(pytest.mark.parametrize, "name")


def test_every_score_is_tested(scores):
    assert set(scores) == set(NAMES)
    tested = {type(score).__name__ for score in scores.values()}
    assert tested == set(ood.__all__) - {"OODScore"}


def test_marginal_energy(model, scores, images):
    score = model.score(images, score=scores["marginal_energy"])
    close(score, energy(model.ema_energy_network, images))


def test_joint_energy_is_lowered_by_the_own_latents_similarity(
    model, scores, images
):
    _, kernel = model.ema_energy_network.get_weights()
    latents = unit(images, model.ema_encoder.get_weights()[0])
    cosines = np.sum(unit(images, kernel) * latents, axis=1)
    energies = energy(model.ema_energy_network, images)
    score = model.score(images, score=scores["joint_energy_of_beta"])
    close(score, energies - 20 * cosines)
    close(model.score(images), energies - 0.3 * cosines)
    model.beta = 7.0
    changed = model.score(images), model.score(images, score=ood.JointEnergy())
    model.beta = 0.3
    for score in changed:
        close(score, energies - 7 * cosines)


def test_typicality_is_the_distance_of_energies_to_their_median(
    model, scores, train, images
):
    network = model.ema_energy_network
    median = np.median(energy(network, train))
    score = model.score(images, score=scores["typicality"])
    close(score, np.abs(energy(network, images) - median))
    black = model.score(np.zeros_like(images), score=scores["typicality"])
    close(black, np.full(6, median))  # the least energy is not the best


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("network", ["encoder", "energy_network"])
def test_neighbors_are_those_of_a_search(model, train, images, network, k):
    score = ood.LatentNeighbors(k=k, network=network)
    score.adapt(model, train)
    kernel = getattr(model, f"ema_{network}").get_weights()[-1]
    cosines = unit(images, kernel) @ unit(train, kernel).T
    expected = 1 - np.sort(cosines, axis=1)[:, -k]
    close(model.score(images, score=score), expected)
    own = model.score(train, score=score)
    assert np.all(np.abs(own) < 1e-5) if k == 1 else np.all(own > 1e-5)


def test_neighbor_energy_is_the_sum_of_relative_energy_and_distance(
    model, train, images
):
    network = model.ema_energy_network
    kernel = network.get_weights()[1]
    cosines = unit(images, kernel) @ unit(train, kernel).T
    distances = 1 - np.sort(cosines, axis=1)[:, -2]
    energies = energy(network, images) / np.mean(energy(network, train))
    for ratio in (0.0, 4.0):
        score = ood.NeighborEnergy(ratio, k=2)
        score.adapt(model, train)
        expected = energies + ratio * distances
        close(model.score(images, score=score), expected)


def test_the_gradients_norm_is_that_of_a_quadratic(model, scores, images):
    kernel = model.ema_energy_network.get_weights()[0]
    gradients = flat(images) @ kernel @ kernel.T
    score = model.score(images, score=scores["gradient_norm"])
    close(score, np.linalg.norm(gradients, axis=1))


def test_views_are_the_same_for_all_images(model, scores, images):
    augment = tf.function(model.augmentation, autograph=False)
    keys = [random.fold_in(random.as_key(5), i) for i in range(2)]
    views = [
        np.concatenate([augment(x[np.newaxis], seed=key) for x in images])
        for key in keys
    ]
    network = model.ema_energy_network
    expected = energy(network, images)
    expected -= np.mean([energy(network, view) for view in views], axis=0)
    score = model.score(images, score=scores["view_difference"])
    np.testing.assert_allclose(score, expected, rtol=1e-3, atol=1e-3)


def test_energy_difference_is_that_of_two_networks(model, scores, images):
    reference = energy(model.energy_network, images)
    expected = energy(model.ema_energy_network, images) - reference
    score = model.score(images, score=scores["energy_difference"])
    close(score, expected)
    assert np.abs(reference).min() > 0.1


@each(NAMES)
def test_a_row_depends_on_that_row_alone(model, scores, images, name):
    score = scores[name]
    together = model.score(images, score=score)
    assert together.shape == (6,) and np.ptp(together) > 1e-3
    np.testing.assert_array_equal(model.score(images, score=score), together)
    close(model.score(images[::-1], score=score)[::-1], together)
    close(model.score(images, batch_size=4, score=score), together)
    close(model.score(images[4:5], score=score), together[4:5])


@each(NAMES)
def test_bytes_are_scored_at_the_middle_of_their_levels(model, scores, name):
    levels = np.random.default_rng(3).integers(0, 17, (2, 8, 8, 1), "uint8")
    middles = (levels + np.float32(0.5)) * np.float32(1 / 17)
    exact, rounded = (
        model.score(x, score=scores[name]) for x in (middles, levels)
    )
    close(exact, rounded)


@each(NAMES)
def test_a_configuration_and_weights_are_the_score(model, scores, images, name):
    score = scores[name]
    config = keras.saving.serialize_keras_object(score)
    copied = keras.saving.deserialize_keras_object(
        json.loads(json.dumps(config))
    )
    if score.learned:
        with pytest.raises(ValueError, match="has seen training images"):
            model.score(images, score=copied)
    copied.set_weights(score.get_weights())
    np.testing.assert_array_equal(
        model.score(images, score=copied), model.score(images, score=score)
    )
    assert type(copied) is type(score)
    assert json.dumps(copied.get_config()) == json.dumps(score.get_config())


@pytest.mark.parametrize("score", [ood.Typicality, ood.LatentNeighbors])
def test_a_score_that_has_learned_nothing_is_refused(model, images, score):
    with pytest.raises(ValueError, match=f"{score.__name__}.*, which has not"):
        model.score(images, score=score())


def test_a_score_may_adapt_again_to_more_images(model, train, images):
    score = ood.LatentNeighbors()
    for count in (10, 30, 30, 20):
        score.adapt(model, train[:count])
        fresh = ood.LatentNeighbors()
        fresh.adapt(model, train[:count])
        np.testing.assert_array_equal(
            model.score(images, score=score), model.score(images, score=fresh)
        )
        assert [w.shape for w in score.weights] == [(count, 4)]
    typicality = ood.Typicality()
    for part in (train[:3], train[3:]):
        typicality.adapt(model, part)
        median = np.median(energy(model.ema_energy_network, part))
        score = model.score(np.zeros_like(images), score=typicality)
        close(score, np.full(6, median))


def test_a_score_is_traced_once_for_all_calls(model, images):
    traces = []

    class Counting(ood.MarginalEnergy):
        def score_rows(self, model, images):
            traces.append(1)
            return super().score_rows(model, images)

    score = Counting()
    for count in (2, 3):  # from here on, of any number
        model.score(images[:count], score=score)
    del traces[:]
    for count in (1, 4, 6):
        model.score(images[:count], score=score)
    assert not traces
    model.score(images, score=Counting())
    assert traces == [1]


def test_scores_are_of_float32_whatever_the_policy(model, train):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        score = ood.LatentNeighbors()
        score.adapt(model, train)
    finally:
        keras.config.set_dtype_policy(before)
    assert score.compute_dtype == score.bank.dtype == "float32"


def test_scores_tell_people_what_they_are(scores):
    told = [scores[name].description for name in ("neighbors", "joint_energy")]
    assert told == ["LatentNeighbors(k=2, network='encoder')", "JointEnergy()"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ood.JointEnergy(beta=-1.0), "beta"),
        (lambda: ood.JointEnergy(beta=np.nan), "beta"),
        (lambda: ood.LatentNeighbors(k=0), "`k`"),
        (lambda: ood.NeighborEnergy(ratio=-1.0), "ratio"),
        (lambda: ood.LatentNeighbors(network="both"), "network.*'both'"),
        (lambda: ood.ViewDifference(views=0), "views"),
        (lambda: ood.ViewDifference(views=1.5), "views"),
        (lambda: ood.EnergyDifference("digits"), "reference.*'digits'"),
    ],
)
def test_bad_arguments_are_refused(make, words):
    with pytest.raises((TypeError, ValueError), match=words):
        make()


def test_what_does_not_fit_the_model_is_refused(model, train, images):
    with pytest.raises(ValueError, match="at least 31 training images"):
        ood.LatentNeighbors(k=31).adapt(model, train)
    small = keras.Input((4, 4, 1))
    features = keras.layers.Flatten()(small)
    reference = keras.Model(small, [features, features])
    with pytest.raises(ValueError, match=r"\(4, 4, 1\).*\(8, 8, 1\)"):
        model.score(images, score=ood.EnergyDifference(reference))
    with pytest.raises(TypeError, match="Expected an `OODScore`"):
        model.score(images, score="typicality")
