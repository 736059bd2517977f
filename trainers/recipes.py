"""Recipes from names and files, and changes to them from the command line."""

import copy
import json
import pathlib

from clel_tf import presets
from clel_tf.optimizers.recipe import DEFAULTS


def read(preset):
    """Reads a recipe.

    Args:
        preset: name of a preset, or path of a JSON file of the same form.

    Returns:
        dict.

    Raises:
        ValueError: if there is no such preset or file, or it holds no recipe.
    """
    if preset in presets.list():
        return presets.get(preset)
    path = pathlib.Path(preset)
    if not path.is_file():
        raise ValueError(
            f"Expected a preset ({', '.join(presets.list())}) or the path of "
            f"a JSON recipe; received: {preset!r}."
        )
    try:
        recipe = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}.") from error
    check_parts(recipe, path)
    return presets.upgraded(recipe)


def with_teacher(recipe, name):
    """A copy of a recipe with another teacher, at its usual settings.

    Args:
        recipe: dict.
        name: str. A kind of `clel_tf.presets.TEACHERS`; "simclr_no_negatives";
            "frozen:" and the path of an encoder's file.

    Returns:
        dict.

    Raises:
        ValueError: if there is no such teacher.
    """
    recipe = copy.deepcopy(recipe)
    kind, colon, path = name.partition(":")
    teacher = {"kind": kind}
    if kind == "simclr_no_negatives":
        teacher = {"kind": "simclr", "generated_negatives": False}
    if kind == "frozen":
        teacher["path"] = path
    elif colon or teacher["kind"] not in presets.TEACHERS:
        kinds = [kind for kind in presets.TEACHERS if kind != "frozen"]
        raise ValueError(
            f"Expected a teacher ({', '.join(kinds)}, simclr_no_negatives or "
            f"frozen:PATH); received: {name!r}."
        )
    recipe["teacher"] = teacher
    if "encoder" not in presets.networks(recipe):
        recipe.pop("encoder", None)
    if kind == "none":
        recipe.setdefault("model", {})["beta"] = 0.0
    return recipe


def check_parts(recipe, source):
    """Raises unless `recipe` has the needed parts and no unknown ones."""
    known = presets.get("digits").keys()
    if not isinstance(recipe, dict) or not set(recipe) <= set(known):
        received = sorted(recipe) if isinstance(recipe, dict) else recipe
        raise ValueError(
            f"Expected a recipe of the parts {', '.join(known)} in {source}; "
            f"received: {received!r}."
        )
    missing = {"data", "recipe"} - set(recipe)
    if missing:
        raise ValueError(f"{source} lacks: {', '.join(sorted(missing))}.")
    for name, part in recipe.items():
        if not isinstance(part, str if name == "data" else dict):
            raise ValueError(
                f"Expected part {name!r} of {source} to be "
                f"{'a string' if name == 'data' else 'an object'}; received: "
                f"{part!r}."
            )
    unknown = set(recipe["recipe"]) - set(DEFAULTS)
    if unknown:
        raise ValueError(
            f"Expected part 'recipe' of {source} to hold "
            f"{', '.join(DEFAULTS)}; received: {', '.join(sorted(unknown))}."
        )


def override(recipe, assignments):
    """Applies `part.name=value` assignments to a copy of a recipe.

    Args:
        recipe: dict.
        assignments: list of str. Values are JSON, or else strings.

    Returns:
        dict.

    Raises:
        ValueError: if an assignment has no such form or names no such part.
    """
    recipe = copy.deepcopy(recipe)
    for assignment in assignments:
        path, separator, value = assignment.partition("=")
        *parents, name = path.split(".")
        if not separator or not name:
            raise ValueError(
                f"Expected --set part.name=value; received: {assignment!r}."
            )
        node = recipe
        for parent in parents:
            node = _child(node, parent, assignment)
        if not parents:
            _child(node, name, assignment)
        if not isinstance(node, dict):
            raise ValueError(
                f"--set {assignment}: {'.'.join(parents)} has no parts."
            )
        node[name] = _value(value)
    check_parts(recipe, "--set")
    return recipe


def for_data(recipe, spec):
    """A copy of a recipe for other data: what described the old is left out."""
    recipe = {**copy.deepcopy(recipe), "data": spec}
    for part in ("energy_network", "encoder", "model"):
        for name in ("image_shape", "mean", "std", "levels"):
            recipe.get(part, {}).pop(name, None)
    return recipe


def complete(recipe, data):
    """Fills what a recipe leaves to its data: shape, mean, std and levels.

    Args:
        recipe: dict.
        data: `clel_tf.data.ImageData`.

    Returns:
        dict, a copy.

    Raises:
        ValueError: if the recipe is for images of another shape.
    """
    recipe = copy.deepcopy(recipe)
    for part in presets.networks(recipe):
        options = recipe.setdefault(part, {})
        options.setdefault("image_shape", list(data.image_shape))
        if "mean" not in options:  # which reads all of the data
            options["mean"] = data.mean
        if "std" not in options:
            # A channel that never varies has no scale to divide by.
            options["std"] = tuple(s or 1.0 for s in data.std)
        if tuple(options["image_shape"]) != tuple(data.image_shape):
            raise ValueError(
                f"The recipe's {part} expects images of shape "
                f"{tuple(options['image_shape'])}; {recipe['data']} has "
                f"{tuple(data.image_shape)}."
            )
    recipe.setdefault("model", {}).setdefault("levels", data.levels)
    return recipe


def check_positive(name, value):
    """Raises unless `value` is an int of at least 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(
            f"Expected {name} to be a positive int; received: {value!r}."
        )


def _child(node, name, assignment):
    if not isinstance(node, dict) or name not in node:
        known = sorted(node) if isinstance(node, dict) else []
        raise ValueError(
            f"--set {assignment}: expected one of {', '.join(known)}; "
            f"received: {name!r}."
        )
    return node[name]


def _value(text):
    try:
        return json.loads(text)
    except ValueError:
        return text
