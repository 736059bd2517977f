"""A readable syntax of guidance: class(3) + ~class(7), like("a.png") | ..."""

import ast
import re
import textwrap

from clel_tf.samplers import energies

_EXAMPLE = "class(3) + 0.5 * like('a.png') + ~class(7), or class(3) | class(5)"
_LARGEST = 1e30  # float32 ends at 3e38
_SHOWN = 200  # letters of a text in messages
_STRING = r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\""
_OPERATORS = {
    ast.Add: lambda a, b: a + b,
    ast.BitAnd: lambda a, b: a & b,
    ast.BitOr: lambda a, b: a | b,
}


def parse(text, names):
    """Reads a composition of guidance terms.

        a + b, a & b    AND
        a | b           OR: one of both in each image
        soft(a, b)      OR within each image
        ~a              NOT
        2 * a           with more weight

    As in Python, `*` comes before `+`, then `&`, then `|`; parentheses change
    that. Nothing but `names`, numbers and quoted strings is looked up, and
    nothing is executed.

    Args:
        text: str.
        names: dict from names, such as "class", to functions of one number or
            string, giving a `Guidance`.

    Returns:
        `energies.Guidance`.

    Raises:
        ValueError: if it is no composition.

    Example:

    >>> from clel_tf.samplers import energies
    >>> from clel_tf.trainers import composition
    >>> z = np.eye(2)
    >>> names = {"class": lambda i: energies.Conditional(z[i])}
    >>> composition.parse("2 * class(0) + ~class(1)", names).weights
    array([2., 1.], dtype=float32)
    """
    # A word of Python's own, of which its parser would complain.
    source = re.sub(rf"({_STRING})|\bclass\b", _spare_strings, text.strip())
    known = {"class_" if k == "class" else k: v for k, v in names.items()}
    try:
        return _guidance(ast.parse(source, mode="eval").body, known)
    except (
        SyntaxError,
        TypeError,
        OverflowError,
        RecursionError,
        MemoryError,  # what Python's parser raises where it nests too deeply
    ) as error:
        message = textwrap.shorten(str(error), _SHOWN) or "nested too deeply"
        raise ValueError(
            f"Expected a composition such as {_EXAMPLE}; received: "
            f"{textwrap.shorten(text, _SHOWN)!r} ({message})."
        ) from error


def _spare_strings(match):
    return match[1] or "class_"


def _guidance(node, names):
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = (_guidance(x, names) for x in (node.left, node.right))
        return _OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return _weighted(node.left, node.right, names)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert):
        return ~_guidance(node.operand, names)
    if isinstance(node, ast.Call) and not node.keywords:
        name = getattr(node.func, "id", None)
        if name == "soft":
            terms = [_guidance(x, names) for x in node.args]
            return energies.SoftEither(terms)
        if name in names:
            return names[name](_argument(node))
    known = ", ".join([*(name.rstrip("_") for name in names), "soft"])
    raise TypeError(
        f"only {known} of something, +, &, |, ~ and * with a number can stand "
        f"there, not {_written(node)}"
    )


def _weighted(left, right, names):
    if not _is_number(left):
        left, right = right, left
    if not _is_number(left):
        raise TypeError(f"* takes a number, not {_written(right)}")
    weight = float(left.value)
    if weight > _LARGEST:
        raise TypeError(f"* takes a number up to {_LARGEST}, not {weight}")
    return weight * _guidance(right, names)


def _argument(node):
    kinds = (int, float, str)
    if len(node.args) == 1:
        (argument,) = node.args
        if isinstance(argument, ast.Constant) and type(argument.value) in kinds:
            return argument.value
    raise TypeError(
        "one number or one quoted file name has to stand in the parentheses, "
        f"not as in {_written(node)}"
    )


def _is_number(node):
    return isinstance(node, ast.Constant) and type(node.value) in (int, float)


def _written(node):
    return re.sub(r"\bclass_(?!\w)", "class", ast.unparse(node))
