"""Checks of a request in the graph: servers look at names and dtypes only."""

import tensorflow as tf


def rows(name, tensor, *shape):
    """Gives a tensor of shape `(n, *shape)`, `n` at least 1, or fails."""
    tensor = tf.ensure_shape(tensor, [None, *shape])
    return checked(
        tensor,
        tf.shape(tensor)[0] > 0,
        f"Expected `{name}` of at least one row; received shape:",
        tf.shape(tensor),
    )


def as_many_rows(name, tensor, **others):
    """Gives a tensor that has as many rows as each of the others, or fails."""
    for other, rows_of_other in others.items():
        tensor = checked(
            tensor,
            tf.equal(tf.shape(tensor)[0], tf.shape(rows_of_other)[0]),
            f"Expected as many rows of `{name}` as of `{other}`; received "
            "shapes:",
            tf.shape(tensor),
            tf.shape(rows_of_other),
        )
    return tensor


def in_range(name, tensor, lowest, highest):
    """Gives a tensor whose values are all in [lowest, highest], or fails."""
    return checked(
        tensor,
        tf.reduce_all((tensor >= lowest) & (tensor <= highest)),
        f"Expected `{name}` in [{lowest}, {highest}]; received values from "
        "and to:",
        tf.reduce_min(tensor),
        tf.reduce_max(tensor),
    )


def unit(name, vectors):
    """Gives vectors divided by their lengths, or fails where they have none."""
    # The largest element first: squares of huge floats would be infinite.
    largest = tf.reduce_max(tf.abs(vectors), axis=-1, keepdims=True)
    vectors = checked(
        vectors,
        tf.reduce_all((largest > 0.0) & tf.math.is_finite(largest)),
        f"Expected `{name}` finite and without zero vectors; received largest "
        "elements:",
        largest[:, 0],
    )
    vectors = vectors / largest
    return vectors / tf.norm(vectors, axis=-1, keepdims=True)


def checked(tensor, condition, message, *received):
    """Gives a tensor, or fails with a message and what was received."""
    check = tf.debugging.Assert(condition, [message, *received], summarize=16)
    with tf.control_dependencies([check]):
        return tf.identity(tensor)
