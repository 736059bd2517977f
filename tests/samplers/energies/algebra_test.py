import keras
import numpy as np
import pytest
import tensorflow as tf

from clel_tf import random
from clel_tf.samplers import energies
from clel_tf.samplers.energies import Avoid
from clel_tf.samplers.energies import Conditional
from clel_tf.samplers.energies import DataFidelity
from clel_tf.samplers.energies import Either
from clel_tf.samplers.energies import Function
from clel_tf.samplers.energies import Inpaint
from clel_tf.samplers.energies import Marginal
from clel_tf.samplers.energies import ProductOfExperts
from clel_tf.samplers.energies import SoftEither
from clel_tf.samplers.energies import WeightedSum
from clel_tf.samplers.energies import WithoutPrior

A, B, C = (Conditional(z, beta=1.0) for z in np.eye(3))


@keras.saving.register_keras_serializable(package="tests")
def brightness(images, weight=1.0):
    return weight * tf.reduce_mean(images, axis=(1, 2, 3))


def keys_of(rows):
    return random.as_key(random.row_seeds(0, rows))


def test_sums_are_flat_and_keep_their_weights():
    total = 2.0 * (A + 3.0 * B) + (C & A)
    assert total.terms == (A, B, C, A)
    assert total.weights.tolist() == [2, 6, 1, 1]


def test_weights_may_differ_between_rows():
    total = np.array([1.0, 2.0]) * A + B
    bound = total.rows(keys_of(2))
    assert bound[1][0][0]["weights"].tolist() == [[1], [2]]


def test_or_is_flat_and_not_of_it_is_neither():
    assert (A | B | C).terms == (A, B, C)
    neither = ~(A | B)
    assert neither.terms == (~A, ~B)
    assert isinstance(neither.terms[0], Avoid)


def test_the_prior_stands_once_wherever_it_is_added():
    terms = (Marginal() + A + B).terms
    assert terms == (A, B)
    assert (A + Marginal()).terms == (A,)
    assert (Marginal() & A) == Marginal([A])
    squared = ProductOfExperts([Marginal(), Marginal() + A])
    assert len(squared.terms) == 2


@pytest.mark.parametrize(
    ("compose", "words"),
    [
        (lambda: Marginal() + Marginal(), "prior is counted once"),
        (lambda: Marginal() + WithoutPrior([A]), "prior is counted once"),
        (lambda: ~Marginal(), "no lowest value"),
        (lambda: -Marginal(), "no lowest value"),
        (lambda: 2.0 * Marginal(), "another temperature"),
        (lambda: Marginal() | A, "OR of guidance terms"),
        (lambda: A | Marginal(), "OR of guidance terms"),
        (lambda: -A, "NOT is `~term`"),
        (lambda: A - B, "NOT is `~term`"),
        (lambda: ~(A + B), "NOT of a condition"),
        (lambda: ~Inpaint(), "NOT of a condition"),
        (lambda: A + 1.0, "unsupported"),
        (lambda: A * B, "unsupported"),
        (lambda: ProductOfExperts([Marginal(), A]), "whole energies"),
        (lambda: WeightedSum([]), "guidance terms"),
        (lambda: Function(3), "a function"),
    ],
)
def test_what_has_no_meaning_is_refused(compose, words):
    with pytest.raises(TypeError, match=words):
        compose()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: -1.0 * A, "`weights` of at least 0; received: -1"),
        (lambda: WeightedSum([A, B], [1.0]), "2 weights.*received: 1"),
        (lambda: Either([A, B], [0.0, 0.0]), "positive sum"),
        (lambda: SoftEither([A, Inpaint()]), "without exact constraints"),
        (lambda: SoftEither([A], [0.0]), "`weights` above 0"),
        (lambda: Conditional(np.zeros(3)), "zero vectors"),
        (lambda: Conditional([np.nan, 1.0]), "zero vectors|finite"),
        (lambda: Conditional(np.ones((2, 2, 2))), "`latents` of rank 1"),
        (lambda: Conditional([1.0], beta=-1.0), "`beta` of at least 0"),
        (lambda: DataFidelity(sigma=0.0), "`sigma` above 0"),
        (lambda: DataFidelity(sigma=1.0, weight=-1.0), "`weight`"),
        (lambda: Inpaint(np.full((2, 2, 1), 1.5)), r"in \[0, 1\]"),
        (lambda: Inpaint(mask=np.full((2, 2, 1), 0.5)), "0 and 1"),
    ],
)
def test_bad_values_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_bytes_are_refused_as_their_levels_are_unknown():
    with pytest.raises(TypeError, match="dequantize"):
        Inpaint(np.zeros((2, 2, 1), np.uint8))


def energies_of_every_kind():
    images = np.full((4, 4, 1), 0.25)
    pooled = DataFidelity(
        images[:2, :2], energies.AveragePool(2), sigma=0.1, weight=2.0
    )
    blurred = DataFidelity(images, energies.GaussianBlur(0.5), sigma=0.1)
    return [
        Marginal(),
        Marginal() + 2.0 * A + ~B,
        Marginal() + (A | B),
        Marginal() + SoftEither([A, 0.5 * B], [0.25, 0.75]),
        Marginal() + pooled + blurred + Inpaint(images, images > 0),
        Marginal() + Function(brightness, 2.0, np.ones((3, 5))),
        ProductOfExperts([Marginal(), Marginal() + A]),
        WithoutPrior([Function(brightness)]),
    ]


@pytest.mark.parametrize("energy", energies_of_every_kind())
def test_configurations_hold_the_structure_and_no_images(energy):
    config = keras.saving.serialize_keras_object(energy)
    copied = keras.saving.deserialize_keras_object(config)
    assert copied.structure == energy.structure
    assert hash(copied.structure) == hash(energy.structure)
    restored = copied.with_tensors(energy.tensors)
    assert restored == energy
    assert "0.25, 0.25" not in str(config)


def test_scalars_are_in_the_configuration():
    config = Avoid([1.0, 0.0], beta=0.5, margin=0.25).get_config()
    assert config == {"ratio": 0.0, "beta": 0.5, "margin": 0.25}
    config = (2.0 * A + B).get_config()
    assert config["weights"] == [2.0, 1.0]


def test_a_configuration_without_its_tensors_says_what_it_lacks():
    energy = Conditional.from_config(A.get_config())
    setting = energies.Setting((4, 4, 1), 3, 1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="`latents` of Conditional.*tensors"):
        (Marginal() + energy).check(setting)


def test_a_function_that_is_not_registered_is_no_configuration():
    term = Function(lambda x: tf.reduce_sum(x, axis=(1, 2, 3)))
    with pytest.raises(ValueError, match="registered"):
        term.get_config()
    term = DataFidelity(operator=lambda x: 2.0 * x, sigma=1.0)
    with pytest.raises(ValueError, match="registered"):
        term.get_config()


def test_scalars_that_differ_between_rows_are_missing_not_default():
    for energy in (
        Conditional(np.eye(3)[0], ratio=[1.0, 2.0]),
        np.array([1.0, 2.0]) * Function(brightness),
    ):
        copied = type(energy).from_config(energy.get_config())
        copied = copied.with_tensors(
            [
                t if t is not None else s
                for t, s in zip(copied.tensors, energy.tensors)
            ]
        )
        assert copied == energy
    term = type(energy).from_config(energy.get_config())
    with pytest.raises(ValueError, match="`weights` of WeightedSum"):
        (Marginal() + term).check(energies.Setting((4, 4, 1), 3, 1, 1, 1))


def test_functions_keep_their_scalars():
    term = Function(brightness, 2.0, np.ones(3))
    copied = Function.from_config(term.get_config())
    assert copied.tensors[0] == 2.0 and copied.tensors[1] is None


def test_terms_may_come_from_a_generator():
    assert len(Marginal(x for x in (A, B)).terms) == 2


def test_equality_is_of_structure_and_tensors():
    same = Conditional([1.0, 0.0, 0.0], beta=1.0)
    assert same == A and same != B
    assert same.structure == B.structure
    assert (A + B).structure != (A | B).structure
    assert A.structure != (~A).structure
    one, other = (Function(f) for f in (brightness, lambda x: x))
    assert one.structure != other.structure


def test_rows_of_the_wrong_number_are_refused():
    energy = Marginal() + Conditional(np.ones((3, 4)))
    with pytest.raises(ValueError, match="`latents` of 5 rows; received: 3"):
        energy.rows(keys_of(5))


def test_ors_inside_of_a_sum_are_drawn_apart():
    both = (A | B) + (A | B)
    rows = both.rows(keys_of(400))
    first, second = (part[0]["component"].numpy() for part in rows[1])
    assert abs(np.mean(first == second) - 0.5) < 4 * 0.5 / 400**0.5


@pytest.mark.parametrize("weights", [[0.8, 0.2], [4.0, 1.0]])
def test_components_have_the_shares_of_the_weights(weights):
    drawn = Either([A, B], weights).components(keys_of(2000))
    assert abs(np.mean(drawn) - 0.2) < 4 * 0.4 / 2000**0.5
    # A row has its component, whatever rows there are beside it.
    fewer = Either([A, B], weights).components(keys_of(10))
    np.testing.assert_array_equal(fewer, drawn[:10])


def test_a_component_without_weight_is_not_drawn():
    weights = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]] * 30)
    drawn = Either([A, B, C], weights).components(keys_of(90))
    np.testing.assert_array_equal(drawn, np.tile([0, 1, 2], 30))
