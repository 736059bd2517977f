import re

import numpy as np
import pytest

from clel_tf.samplers.energies import Avoid
from clel_tf.samplers.energies import Conditional
from clel_tf.samplers.energies import Either
from clel_tf.samplers.energies import SoftEither
from clel_tf.samplers.energies import WeightedSum
from clel_tf.trainers import composition

A, B, C = (Conditional(z) for z in np.eye(3))


@pytest.fixture
def asked():
    return []


@pytest.fixture
def names(asked):
    def like(name):
        asked.append(name)
        return C

    return {"class": {3: A, 5: B}.__getitem__, "like": like}


@pytest.mark.parametrize(
    "text, expected",
    [
        ("class(3)", A),
        (" class (3) ", A),
        ("class(3) + class(5)", WeightedSum([A, B])),
        ("class(3) & class(5)", WeightedSum([A, B])),
        ("class(3) + class(5) + like('a')", WeightedSum([A, B, C])),
        ("2 * class(3) + class(5) * 0.5", WeightedSum([A, B], [2, 0.5])),
        ("3 * (2 * class(3) + class(5))", WeightedSum([A, B], [6, 3])),
        ("~class(3)", Avoid(A.latents)),
        ("class(3) | class(5)", Either([A, B])),
        ("class(3) | class(5) | like('a')", Either([A, B, C])),
        ("~(class(3) | class(5))", WeightedSum([~A, ~B])),
        ("soft(class(3), class(5))", SoftEither([A, B])),
        ("class(3) | class(5) + like('a')", Either([A, WeightedSum([B, C])])),
        ("(class(3) | class(5)) + ~like('a')", WeightedSum([A | B, ~C])),
        ("soft(class(3) | class(5), ~class(3))", SoftEither([A | B, ~A])),
        ("(class(3)\n + class(5))", WeightedSum([A, B])),
    ],
)
def test_compositions_are_those_of_the_operators(names, text, expected):
    assert composition.parse(text, names) == expected


@pytest.mark.parametrize(
    "name",
    ["a.png", "class(3).png", "my class/(1) | b.png", "digits#3", "it's.png"],
)
def test_file_names_stay_as_they_are_quoted(names, asked, name):
    composition.parse(f'class(3) + like("{name}")', names)
    assert asked == [name]


def test_a_file_name_may_hold_either_quote(names, asked):
    composition.parse(r"""like('class(1)".png') + like("it\'s")""", names)
    assert asked == ['class(1)".png', "it's"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "3",
        "'a.png'",
        "1+1",
        "class",
        "class(3",
        "class(3))",
        "class()",
        "class(3, 5)",
        "class(class(3))",
        "class(label=3)",
        "class(*[3])",
        "class(True)",
        "like(f'{1}')",
        "soft()",
        "soft(3)",
        "class(3) class(5)",
        "class(3) + 1",
        "1 + class(3)",
        "class(3) * class(5)",
        "'2' * (class(3) + class(5))",
        "class(3) - class(5)",
        "class(3) / 2",
        "class(3) if 1 else class(5)",
        "-class(3)",
        "-2 * class(3)",
        "~3",
        "~(class(3) + class(5))",
        "~soft(class(3), class(5))",
        "2 * 'a' * 1000000000",
        "1e400 * class(3)",
        "1e39 * class(3)",
        f"{10**400} * class(3)",
        "9" * 5000 + " * class(3)",
        "(" * 10000 + "class(3)" + ")" * 10000,
        "~" * 100000 + "class(3)",
        " + ".join(["class(3)"] * 10000),
        "class(3)\0",
        "__import__('os')",
        "__import__('os').system('touch hostile')",
        "class(3).x",
        "class(3).__class__",
        "(lambda: 1)()",
        "[class(3) for x in like]",
        "(x := class(3))",
        "open('hostile', 'w')",
        "class_",
    ],
    ids=lambda text: re.sub(r"\W+", "_", text)[:30],
)
@pytest.mark.filterwarnings("error")
def test_what_is_no_composition_is_told_briefly(
    names, text, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="^Expected") as caught:
        composition.parse(text, names)
    assert len(str(caught.value)) < 700
    assert not list(tmp_path.iterdir())


def test_the_message_names_what_is_wrong_in_the_users_words(names):
    with pytest.raises(ValueError, match=r"takes a number, not class\(3\)"):
        composition.parse("class(3) * class(5)", names)
    with pytest.raises(ValueError, match=r"class, like, soft.*not unlike\(3\)"):
        composition.parse("unlike(3)", names)
