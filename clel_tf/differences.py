"""What two configurations differ in."""


def differences(old, new, prefix=""):
    """Lines `name: old there, new asked for` for what two dicts differ in.

    Args:
        old: dict for JSON, as it was stored.
        new: dict for JSON.
        prefix: str. What stands before each name.

    Returns:
        list of str, empty if they are equal.

    Example:

    >>> clel_tf.differences.differences(
    ...     {"recipe": {"steps": 2}}, {"recipe": {"steps": 4}})
    ['recipe.steps: 2 there, 4 asked for']
    """
    lines = []
    for name in sorted({*old, *new}):
        a, b = old.get(name), new.get(name)
        if isinstance(a, dict) and isinstance(b, dict):
            lines += differences(a, b, f"{prefix}{name}.")
        elif a != b:
            lines.append(f"{prefix}{name}: {a!r} there, {b!r} asked for")
    return lines
