import keras
import numpy as np
import pytest
import tensorflow as tf

from clel_tf.export import lint_saved_model

SEEDS = keras.random.SeedGenerator(0)
ROWS = tf.TensorSpec([None, 2], name="x")


def plain(x):
    return {"y": 2.0 * x}


def compiled(x):
    double = tf.function(lambda x: 2.0 * x, jit_compile=True)
    return {"y": double(x)}


def in_a_loop(x):
    body = tf.function(lambda x: compiled(x)["y"])
    return {"y": tf.while_loop(lambda x: x[0, 0] < 9.0, body, [x])[0]}


def normal(x):
    return {"y": x + tf.random.normal(tf.shape(x))}


def of_a_generator(x):
    generator = tf.random.get_global_generator()
    return {"y": x + generator.uniform(tf.shape(x))}


def shuffled(x):
    return {"y": tf.random.shuffle(x)}


def categorical(x):
    return {"y": x + tf.cast(tf.random.categorical(x, 2), x.dtype)}


def truncated(x):
    return {"y": x + tf.random.truncated_normal(tf.shape(x))}


def sampled(x):
    classes = tf.zeros([1, 1], tf.int64)
    drawn = tf.random.uniform_candidate_sampler(classes, 1, 1, True, 5)[0]
    return {"y": x + tf.cast(drawn, x.dtype)}


def of_keras(x):
    return {"y": x + keras.random.normal([2], seed=SEEDS)}


def counted(x):
    count = SEEDS.state.value.assign_add([1, 1])[0]
    return {"y": x + tf.cast(count, x.dtype)}


def stateless(x):
    return {"y": x + tf.random.stateless_normal(tf.shape(x), [1, 2])}


def python(x):
    return {
        "y": tf.ensure_shape(tf.numpy_function(np.sqrt, [x], x.dtype), x.shape)
    }


def total(x):
    return {"y": x, "total": tf.reduce_sum(x)}


def first(x):
    return {"y": tf.reduce_sum(x, axis=0, keepdims=True)}


def unknown(x):
    return {
        "y": tf.reshape(
            x, tf.shape(x)[:1] + tf.zeros([tf.shape(x)[0]], tf.int32)
        )
    }


def lint(function, folder, specs=(ROWS,), **options):
    module = tf.Module()
    module.generator = tf.random.get_global_generator()
    module.seeds = SEEDS.state.value
    module.served = tf.function(function, list(specs))
    tf.saved_model.save(module, folder, {"served": module.served})
    return lint_saved_model(folder, **options)


@pytest.mark.parametrize("function", [plain, stateless])
def test_a_model_that_is_fit_has_no_findings(function, tmp_path):
    assert lint(function, tmp_path) == []


@pytest.mark.parametrize(
    "function, words",
    [
        (compiled, "has to be compiled by XLA"),
        (in_a_loop, "has to be compiled by XLA"),
        (normal, "RandomStandardNormal draws from a state of its own"),
        (of_a_generator, "RngReadAndSkip draws from a state of its own"),
        (categorical, "Multinomial draws from a state of its own"),
        (truncated, "TruncatedNormal draws from a state of its own"),
        (sampled, "CandidateSampler draws from a state of its own"),
        (of_keras, "AssignVariableOp changes a variable"),
        (counted, "AssignAddVariableOp changes a variable"),
        (shuffled, "RandomShuffle draws from a state of its own"),
        (python, "PyFunc calls Python"),
        (total, "signature served: output total is a scalar"),
        (first, "signature served: output y has 1 rows, whatever the batch"),
        (unknown, "signature served: output y is of unknown rank"),
    ],
)
def test_what_is_planted_is_found(function, words, tmp_path):
    findings = lint(function, tmp_path)
    assert findings and any(words in finding for finding in findings)


@pytest.mark.parametrize(
    "spec, words",
    [
        (tf.TensorSpec([], name="x"), "input x is a scalar"),
        (tf.TensorSpec([4, 2], name="x"), "input x has 4 rows"),
        (tf.TensorSpec(None, name="x"), "input x is of unknown rank"),
    ],
)
def test_inputs_without_a_batch_are_found(spec, words, tmp_path):
    findings = lint(lambda x: {"y": x}, tmp_path, [spec])
    assert f"signature served: {words}" in "\n".join(findings)


def test_xla_is_allowed_to_the_signatures_that_are_named(tmp_path):
    module = tf.Module()
    module.plain = tf.function(plain, [ROWS])
    module.in_a_loop = tf.function(in_a_loop, [ROWS])
    functions = {"plain": module.plain, "in_a_loop": module.in_a_loop}
    tf.saved_model.save(module, tmp_path, functions)
    assert lint_saved_model(tmp_path, xla=["in_a_loop"]) == []
    assert lint_saved_model(tmp_path, xla=["plain"])


def test_what_a_plain_signature_shares_with_one_of_xlas_is_found(tmp_path):
    module = tf.Module()
    shared = tf.function(lambda x: compiled(x)["y"] + 1.0)
    module.one = tf.function(lambda x: {"y": shared(x)}, [ROWS])
    module.two = tf.function(lambda x: {"y": 2.0 * shared(x)}, [ROWS])
    functions = {"one": module.one, "two": module.two}
    tf.saved_model.save(module, tmp_path, functions)
    (finding,) = lint_saved_model(tmp_path, xla=["two"])
    assert "has to be compiled by XLA" in finding
    assert lint_saved_model(tmp_path, xla=["one", "two"]) == []


def test_what_no_signature_calls_is_not_served(tmp_path):
    module = tf.Module()
    module.served = tf.function(plain, [ROWS])
    module.train = tf.function(normal, [ROWS])
    tf.saved_model.save(module, tmp_path, {"served": module.served})
    assert lint_saved_model(tmp_path) == []


def test_no_model(tmp_path):
    with pytest.raises(FileNotFoundError):
        lint_saved_model(tmp_path)
