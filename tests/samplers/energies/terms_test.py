import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import gaussian_filter
from scipy.special import logsumexp

from clel_tf import random
from clel_tf.samplers import SGLD
from clel_tf.samplers import energies
from clel_tf.samplers.energies import Conditional
from clel_tf.samplers.energies import DataFidelity
from clel_tf.samplers.energies import Function
from clel_tf.samplers.energies import Inpaint
from clel_tf.samplers.energies import Marginal

SHAPE = (4, 4, 1)
STIFFNESS = 5.0
TEMPERATURE = 0.01
SETTING = energies.Setting(SHAPE, 3, 0.5, TEMPERATURE, 0.1)


PASSES = []


def network(images, training=False):
    PASSES.append(1)
    # A Gaussian prior around 1/2; the latent is of the first three pixels.
    flat = tf.reshape(images, (-1, 16))
    return STIFFNESS**0.5 * (flat - 0.5), flat[:, :3]


def keys_of(rows):
    return random.as_key(random.row_seeds(0, rows))


def images_of(rows, shape=SHAPE):
    return np.random.default_rng(0).random((rows, *shape)).astype("float32")


def value(energy, images, **kwargs):
    bound = energy.bind(network, keys_of(len(images)), **kwargs)
    return bound(tf.constant(images)).numpy()


def marginal(images):
    return 0.5 * STIFFNESS * np.sum((images - 0.5) ** 2, axis=(1, 2, 3))


def cosines(images, latent):
    seen = images.reshape(len(images), -1)[:, :3]
    seen = seen / np.linalg.norm(seen, axis=1, keepdims=True)
    return np.sum(seen * latent, axis=1) / np.linalg.norm(latent, axis=-1)


def test_the_marginal_is_half_the_features_square():
    x = images_of(5)
    np.testing.assert_allclose(value(Marginal(), x), marginal(x), rtol=1e-5)


def test_conditions_add_to_one_prior():
    x, a, b = images_of(5), np.array([3.0, 0, 4]), np.array([0, 1.0, 0])
    energy = Marginal() + 2.0 * Conditional(a, beta=0.1)
    energy += Conditional(b, beta=0.3)
    expected = marginal(x) - 0.2 * cosines(x, a) - 0.3 * cosines(x, b)
    np.testing.assert_allclose(value(energy, x), expected, atol=1e-5)


def test_all_terms_share_one_pass():
    term = Conditional(np.eye(3)[0], beta=0.1)
    PASSES.clear()
    value(Marginal() + term + ~term + (term | term), images_of(2))
    assert len(PASSES) == 1


def test_a_ratio_without_its_scale_is_refused():
    with pytest.raises(ValueError, match="`setting` with the energy's scale"):
        Conditional(np.eye(3)[0]).rows(keys_of(2))


def test_tensors_are_checked_and_normalised_as_arrays_are():
    x = images_of(2)
    given = Conditional(tf.constant([3.0, 0.0, 4.0], tf.float64), beta=0.1)
    np.testing.assert_allclose(
        value(given, x), -0.1 * cosines(x, np.array([3.0, 0, 4.0])), atol=1e-5
    )
    with pytest.raises(ValueError, match="`beta` of at least 0"):
        Conditional(np.eye(3)[0], beta=tf.constant(-1.0))
    with pytest.raises(ValueError, match="`beta` of at least 0"):
        given.with_tensors([np.eye(3)[0], 0.0, -1.0])


def test_a_ratio_is_a_multiple_of_the_energys_own_gradient():
    # |dE/df| = |f| and |d cos/df| <= 1/|f|: beta / |f|^2 = beta / (2 E).
    x, z = images_of(5), np.eye(3)[0]
    energy = Conditional(z, ratio=0.5)
    expected = -2.0 * 0.7 * 0.5 * cosines(x, z)
    received = value(energy, x, setting=SETTING._replace(energy_scale=0.7))
    np.testing.assert_allclose(received, expected, atol=1e-5)


def test_not_pushes_beyond_the_margin_only():
    x, z = images_of(40), np.eye(3)[0]
    energy = energies.Avoid(z, beta=2.0, margin=0.6)
    expected = 2.0 * np.maximum(cosines(x, z) - 0.6, 0.0)
    assert 5 < np.sum(expected > 0) < 35
    np.testing.assert_allclose(value(energy, x), expected, atol=1e-5)


def test_or_gives_each_row_its_component():
    x, latents = images_of(6), np.eye(3)[:2]
    either = energies.Either([Conditional(z, beta=1.0) for z in latents])
    component = either.components(keys_of(6))
    assert set(component) == {0, 1}
    expected = -cosines(x, latents[component])
    np.testing.assert_allclose(value(either, x), expected, atol=1e-5)


def test_soft_or_is_the_logarithm_of_a_mixture():
    x, latents = images_of(6), np.eye(3)[:2]
    weights, t = np.array([0.2, 0.8]), 0.05
    soft = energies.SoftEither(
        [Conditional(z, beta=0.1) for z in latents], weights
    )
    terms = np.stack([-0.1 * cosines(x, z) for z in latents], axis=1)
    expected = -t * logsumexp(np.log(weights) - terms / t, axis=1)
    received = value(soft, x, temperature=t)
    np.testing.assert_allclose(received, expected, atol=1e-5)


def test_soft_or_needs_a_temperature():
    soft = energies.SoftEither([Conditional(np.eye(3)[0], beta=1.0)])
    with pytest.raises(ValueError, match="temperature above 0"):
        soft.check(SETTING._replace(temperature=0.0))


def test_a_product_of_experts_counts_each_prior():
    x = images_of(3)
    energy = energies.ProductOfExperts([Marginal(), Marginal()])
    np.testing.assert_allclose(value(energy, x), 2 * marginal(x), rtol=1e-5)


def test_functions_get_their_rows():
    x, weights = images_of(3), np.array([1.0, 2.0, 3.0])
    term = Function(lambda x, w: w * tf.reduce_sum(x, (1, 2, 3)), weights)
    expected = weights * x.sum(axis=(1, 2, 3))
    np.testing.assert_allclose(value(term, x), expected, rtol=1e-5)


def test_functions_of_another_shape_are_refused():
    term = Function(lambda x: tf.reduce_sum(x, (2, 3)))
    with pytest.raises(ValueError, match="one a row; received shape"):
        value(term, images_of(3))


def test_a_measurement_enters_in_nats_times_the_temperature():
    x, y = images_of(3), images_of(3, (2, 2, 1))
    term = DataFidelity(y, energies.AveragePool(2), sigma=0.2, weight=3.0)
    pooled = x.reshape(3, 2, 2, 2, 2, 1).mean(axis=(2, 4))
    nats = np.sum((pooled - y) ** 2, axis=(1, 2, 3)) / (2 * 0.2**2)
    received = value(term, x, temperature=TEMPERATURE)
    np.testing.assert_allclose(received, 3 * TEMPERATURE * nats, rtol=1e-4)


def test_the_blur_is_the_gaussian_filter_with_mirrored_edges():
    x = images_of(2, (9, 7, 2))
    blurred = energies.GaussianBlur(0.8)(tf.constant(x))
    expected = gaussian_filter(
        x, (0, 0.8, 0.8, 0), mode="reflect", radius=(0, 3, 3, 0)
    )
    np.testing.assert_allclose(blurred, expected, atol=1e-5)


def test_denoising_samples_the_posterior():
    # Prior N(1/2, T / k), likelihood N(x, sigma^2): precisions add.
    rows, sigma, y = 500, 0.05, 0.6
    term = DataFidelity(np.full(SHAPE, y), None, sigma)
    keys = keys_of(rows)
    sampler = SGLD(step_size=0.02, noise_scale=(2 * 0.02 * TEMPERATURE) ** 0.5)
    energy = (Marginal() + term).bind(network, keys, TEMPERATURE)
    run = tf.function(lambda x: sampler.run(energy, x, keys, 60)[0])
    x = run(tf.fill((rows, *SHAPE), 0.5)).numpy().astype("float64")
    precision = STIFFNESS / TEMPERATURE + 1 / sigma**2
    mean = (0.5 * STIFFNESS / TEMPERATURE + y / sigma**2) / precision
    # The unadjusted chain's variance, exactly.
    a = 0.02 * TEMPERATURE * precision
    variance = 1 / precision / (1 - a / 2)
    assert x.mean() == pytest.approx(mean, abs=4 * (variance / x.size) ** 0.5)
    assert x.var() == pytest.approx(variance, rel=4 * (2 / x.size) ** 0.5)


def half_as_stiff_as_may_be(weight):
    # step * weight * T / sigma^2 * |A|^2 = weight, of an operator that doubles
    # means of two columns, whose norm is 2 * 2^(-1/2).
    sigma = (SETTING.step_size * SETTING.temperature * 2) ** 0.5
    return DataFidelity(np.zeros((4, 2, 1)), doubled_means, sigma, weight)


def doubled_means(x):
    return 2.0 * tf.nn.avg_pool2d(x, (1, 2), (1, 2), "VALID")


@pytest.mark.parametrize(
    ("weights", "sum_of_weights"),
    [([1.9], 1.9), ([2.1], 2.1), ([1.0, 0.9], 1.9), ([1.5, 1.5], 3.0)],
)
def test_measurements_are_stable_together_or_refused(weights, sum_of_weights):
    energy = Marginal([half_as_stiff_as_may_be(w) for w in weights])
    if sum_of_weights < 2:
        energy.check(SETTING)
        return
    with pytest.raises(ValueError, match=f"received: {sum_of_weights:.3g}"):
        energy.check(SETTING)


def test_weights_count_for_stability_and_ors_take_the_largest():
    term = half_as_stiff_as_may_be(1.0)
    (Marginal() + (term | term | term)).check(SETTING)
    with pytest.raises(ValueError, match="received: 3"):
        (Marginal() + 3.0 * term).check(SETTING)


def test_a_measurement_needs_a_temperature():
    term = DataFidelity(np.zeros(SHAPE), None, sigma=1.0)
    with pytest.raises(ValueError, match="temperature above 0"):
        term.check(SETTING._replace(temperature=0.0))


def leading(energy, images):
    rows = energy.rows(keys_of(len(images)), SETTING)
    bound = energies.Bound(energy, rows, network, TEMPERATURE, leading=True)
    return bound(tf.constant(images)).numpy()


def test_candidates_are_guided_more_strongly():
    x, z = images_of(5), np.eye(3)[0]
    plain = value(Conditional(z, beta=0.1), x)
    np.testing.assert_allclose(
        leading(Conditional(z, beta=0.1), x), 16 * plain, rtol=1e-5
    )
    weak = DataFidelity(x[::-1], None, sigma=5.0)
    np.testing.assert_allclose(
        leading(weak, x), 300 * value(weak, x, setting=SETTING), rtol=1e-4
    )


def test_measurements_lead_no_further_than_stable_steps():
    # Each by 1 / (step |A|^2) shared by all: half a residual's square over it.
    x, y = images_of(5), images_of(5)[::-1]
    terms = [DataFidelity(y, None, sigma=0.05)] * 2
    expected = 0.5 * np.sum((x - y) ** 2, (1, 2, 3)) / SETTING.step_size
    received = leading(Marginal(terms), x) - marginal(x)
    np.testing.assert_allclose(received, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("operator", "observed", "words"),
    [
        (tf.square, SHAPE, "linear operator"),
        (lambda x: x + 1.0, SHAPE, "linear operator"),
        (lambda x: tf.reduce_sum(x, (1, 2, 3)), SHAPE, "rows of images"),
        (energies.AveragePool(2), SHAPE, r"shape \(2, 2, 1\); received"),
        (energies.AveragePool(3), SHAPE, "sides 3 divides"),
    ],
)
def test_operators_that_do_not_fit_are_refused(operator, observed, words):
    term = DataFidelity(np.zeros(observed), operator, sigma=1.0)
    with pytest.raises(ValueError, match=words):
        term.check(SETTING)


def test_known_pixels_stay_and_the_others_are_sampled():
    x, mask = images_of(2), np.zeros(SHAPE)
    mask[:2] = 1
    energy = (Marginal() + Inpaint(x, mask)).bind(network, keys_of(2))
    sampler = SGLD(step_size=0.01, noise_scale=0.01)
    start = tf.zeros((2, *SHAPE))
    result, _ = sampler.run(
        energy, start, keys_of(2), 100, project=energy.project
    )
    np.testing.assert_array_equal(result[:, 2:], x[:, 2:])
    assert np.abs(result[:, :2] - 0.5).max() < 0.2


def test_inpainting_inside_of_or_is_of_its_rows():
    one, zero = (
        Inpaint(np.full(SHAPE, v), np.zeros(SHAPE)) for v in (1.0, 0.0)
    )
    either = zero | one
    bound = either.bind(network, keys_of(8))
    projected = bound.project(tf.fill((8, *SHAPE), 0.5)).numpy()
    expected = either.components(keys_of(8))
    np.testing.assert_array_equal(projected[:, 0, 0, 0], expected)


@pytest.mark.parametrize(
    ("term", "words"),
    [
        (Inpaint(np.zeros((3, 4, 1)), np.zeros(SHAPE)), "`images` of shape"),
        (Inpaint(np.zeros(SHAPE), np.zeros((4, 4, 2))), "`mask` of shape"),
        (Conditional(np.ones(4), beta=1.0), "dimension 3; received: 4"),
    ],
)
def test_shapes_that_do_not_fit_the_model_are_refused(term, words):
    with pytest.raises(ValueError, match=words):
        (Marginal() + term).check(SETTING)


def test_a_ratio_needs_the_energys_scale():
    energy = Marginal() + Conditional(np.ones(3))
    energy.check(SETTING)
    with pytest.raises(ValueError, match="measure_energy_scale"):
        energy.check(SETTING._replace(energy_scale=0.0))


def test_a_network_that_is_asked_for_has_to_be_there():
    energy = Marginal().bind(None, keys_of(2))
    with pytest.raises(ValueError, match="energy network"):
        energy(tf.zeros((2, *SHAPE)))
