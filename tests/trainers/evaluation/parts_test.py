import numpy as np
import pytest

from clel_tf.trainers.evaluation.parts import Parts
from clel_tf.trainers.evaluation.parts import tell_tenths

REQUEST = {"data": {"spec": "digits", "shape": (8, 8)}, "seed": 3}


@pytest.fixture
def parts(tmp_path):
    parts = Parts(tmp_path / "out", REQUEST)
    parts.create()
    return parts


def forbidden():
    raise AssertionError("computed again")


def test_a_part_is_computed_once(parts, capsys):
    values = np.arange(3, dtype=np.float32)
    first = parts.get("a/b", lambda: ({"x": [1, None]}, {"c/d": values}))
    again = Parts(parts.directory, REQUEST)
    again.create()
    for figures, arrays in (first, again.get("a/b", forbidden)):
        assert figures == {"x": [1, None]}
        assert arrays["c/d"].dtype == np.float32
        np.testing.assert_array_equal(arrays["c/d"], values)
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in told] == ["a/b", "a/b"]
    assert told[0].endswith(" s") and told[1].endswith(" kept")


def test_a_part_that_fails_leaves_nothing(parts):
    with pytest.raises(KeyboardInterrupt):
        parts.get("a", lambda: exec("raise KeyboardInterrupt"))
    assert parts.get("a", lambda: ({"x": 1}, {}))[0] == {"x": 1}


def test_a_torn_part_is_named(parts):
    parts.get("a", lambda: ({}, {"x": np.zeros(100)}))
    (path,) = parts.directory.glob("parts/*.npz")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match=f"{path}.*Remove it"):
        parts.get("a", forbidden)


def test_another_request_is_refused_with_the_differences(parts):
    data = {**REQUEST["data"], "spec": "npz:x.npz"}
    with pytest.raises(
        ValueError, match="data.spec: 'digits' there, 'npz:x.npz' asked for"
    ):
        Parts(parts.directory, {**REQUEST, "data": data})


def test_other_files_are_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="holds other files"):
        Parts(tmp_path, REQUEST)
    with pytest.raises(ValueError, match="is a file"):
        Parts(tmp_path / "thesis.txt", REQUEST)


def test_long_work_tells_each_tenth_once(capsys):
    for total, told in ((4_000, ""), (10_000, "10% 30% 90% ")):
        tell = tell_tenths(total)
        for done in (500, 1_200, 1_900, 3_900, 9_900, total):
            tell(min(done, total))
        assert capsys.readouterr().out == told
