import hashlib

import numpy as np
import pytest
import tensorflow as tf

from clel_tf.metrics import extractors
from clel_tf.metrics.extractors import inception_weights
from clel_tf.metrics.extractors.inception_layout import convolutions
from clel_tf.metrics.extractors.inception_network import inception_network

NOT_A_GRAPH = b"\xff\xff\xff"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CLEL_TF_INCEPTION", raising=False)
    return tmp_path


def write(path, content=NOT_A_GRAPH):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path, hashlib.sha256(content).hexdigest()


def in_cache(home):
    return home / ".cache/clel_tf/inception/classify_image_graph_def.pb"


def test_a_missing_file_is_told_where_to_get(home):
    with pytest.raises(FileNotFoundError) as error:
        extractors.Inception()
    message = str(error.value)
    assert str(in_cache(home)) in message
    assert (
        "http://download.tensorflow.org/models/image/imagenet/"
        "inception-2015-12-05.tgz" in message
    )
    assert "member classify_image_graph_def.pb" in message
    assert "environment variable CLEL_TF_INCEPTION" in message


@pytest.mark.parametrize("by", ["argument", "environment"])
def test_a_file_that_was_named_is_not_replaced_by_another(
    home, monkeypatch, by
):
    write(in_cache(home))
    named = home / "absent.pb"
    if by == "environment":
        monkeypatch.setenv("CLEL_TF_INCEPTION", str(named))
    with pytest.raises(FileNotFoundError, match="absent.pb"):
        extractors.Inception(named if by == "argument" else None)


def test_argument_before_environment_before_cache(home, monkeypatch):
    _, cached = write(in_cache(home), b"cached")
    with pytest.raises(ValueError, match=cached):
        extractors.Inception()
    _, other = write(home / "other.pb", b"environment")
    monkeypatch.setenv("CLEL_TF_INCEPTION", "~/other.pb")
    with pytest.raises(ValueError, match=other):
        extractors.Inception()
    path, given = write(home / "given.pb", b"argument")
    with pytest.raises(ValueError, match=given):
        extractors.Inception(str(path))


def test_unknown_files_are_refused_before_they_are_parsed(home, monkeypatch):
    for reader in ("_read_graph", "_read_pytorch"):
        monkeypatch.setattr(
            inception_weights, reader, lambda file: pytest.fail("parsed")
        )
    for content in (NOT_A_GRAPH, b"PK", b"\x80\x02"):
        path, sha256 = write(home / "other", content)
        with pytest.raises(ValueError) as error:
            extractors.Inception(path)
        message = str(error.value)
        assert sha256 in message
        for known in inception_weights.KNOWN:
            assert known in message
        assert "allow_unknown=True" in message
        assert "--allow_unknown_inception" in message


@pytest.mark.parametrize("is_known", [False, True])
def test_allowed_and_known_files_are_parsed(home, monkeypatch, is_known):
    path, sha256 = write(home / "other.pb")
    if is_known:
        monkeypatch.setattr(inception_weights, "KNOWN", {sha256: "other.pb"})
    with pytest.raises(ValueError, match="frozen graph.*other.pb"):
        extractors.Inception(path, allow_unknown=not is_known)


def test_entries_that_are_missing_or_misshapen_are_named(home):
    graph = tf.compat.v1.GraphDef()
    node = graph.node.add(name="conv/conv2d_params", op="Const")
    kernel = np.zeros((3, 3, 1, 32), np.float32)
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(kernel))
    path, sha256 = write(home / "small.pb", graph.SerializeToString())
    arrays, found = inception_weights.read_weights(path, allow_unknown=True)
    assert found == sha256 and list(arrays) == ["conv/conv2d_params"]
    with pytest.raises(ValueError) as error:
        inception_network(arrays)
    message = str(error.value)
    assert "softmax/weights missing" in message
    assert "conv/conv2d_params (3, 3, 1, 32)" in message
    assert f"and {1 + 5 * 94 - 4} more" in message


def test_every_convolution_has_names_of_its_own():
    found = list(convolutions())
    assert len(found) == 94
    for names in zip(*((one.name, one.pytorch) for one in found)):
        assert len(set(names)) == 94
