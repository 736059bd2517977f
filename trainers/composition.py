"""A readable syntax of guidance: class(3) + ~class(7), like("a.png") | ..."""

import ast
import re

from clel_tf.samplers import energies

_EXAMPLE = "class(3) + 0.5 * like('a.png') + ~class(7), or class(3) | class(5)"
_OPERATORS = {
    ast.Add: lambda a, b: a + b,
    ast.BitAnd: lambda a, b: a & b,
    ast.BitOr: lambda a, b: a | b,
    ast.Mult: lambda a, b: a * b,
}


def parse(text, names):
    """Reads a composition of guidance terms.

        a + b, a & b    AND
        a | b           OR: one of both in each image
        soft(a, b)      OR within each image
        ~a              NOT
        2 * a           with more weight

    Args:
        text: str.
        names: dict from names, such as "class", to functions of a number or a
            string, giving a `Guidance`.

    Returns:
        `energies.Guidance`.

    Raises:
        ValueError: if it is no composition.
    """
    # A word of Python's own, of which its parser would complain.
    source = re.sub(r"\bclass\s*\(", "class_(", text)
    known = {"class_" if k == "class" else k: v for k, v in names.items()}
    known["soft"] = lambda *terms: energies.SoftEither(terms)
    try:
        guidance = _evaluate(ast.parse(source, mode="eval").body, known)
    except (SyntaxError, TypeError, RecursionError) as error:
        raise ValueError(
            f"Expected a composition such as {_EXAMPLE}; received: {text!r} "
            f"({error})."
        ) from error
    if not isinstance(guidance, energies.Guidance):
        raise ValueError(
            f"Expected a composition such as {_EXAMPLE}; received: {text!r}."
        )
    return guidance


def _evaluate(node, names):
    if isinstance(node, ast.Constant) and type(node.value) in (int, float, str):
        return node.value
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = (_evaluate(x, names) for x in (node.left, node.right))
        return _OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert):
        return ~_evaluate(node.operand, names)
    if isinstance(node, ast.Call) and not node.keywords:
        name = getattr(node.func, "id", None)
        if name in names:
            return names[name](*(_evaluate(x, names) for x in node.args))
    known = ", ".join(name.rstrip("_") for name in names)
    raise TypeError(
        f"only {known}, numbers, +, &, |, ~ and * can stand there, not "
        f"{ast.unparse(node).replace('class_', 'class')!r}"
    )
