import numpy as np
import pytest
import tensorflow as tf

from clel_tf.samplers import in_halves
from clel_tf.samplers import resolve_jit_compile
from clel_tf.samplers.compilation import chunk_size
from clel_tf.samplers.compilation import halves_pay
from clel_tf.samplers.compilation import rows_in_chunks


class Device:
    def __init__(self, device_type):
        self.device_type = device_type


@pytest.mark.parametrize("jit_compile", [True, False])
def test_a_decision_stands(jit_compile):
    assert resolve_jit_compile(jit_compile) is jit_compile


@pytest.mark.parametrize(
    "kinds,expected",
    [
        (["CPU", "CPU"], False),
        (["CPU", "GPU"], True),
        (["CPU", "TPU", "TPU"], True),
    ],
)
def test_auto_follows_the_devices(monkeypatch, kinds, expected):
    devices = [Device(kind) for kind in kinds]
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda: devices)
    assert resolve_jit_compile("auto") is expected


@pytest.mark.parametrize("jit_compile", ["yes", None, 1])
def test_refuses_anything_else(jit_compile):
    with pytest.raises(ValueError, match="`jit_compile` .*received"):
        resolve_jit_compile(jit_compile)


@pytest.mark.parametrize(
    "kind,jit_compile,expected",
    [
        ("CPU", "auto", True),
        ("CPU", True, False),
        ("GPU", "auto", False),
        ("GPU", False, False),
    ],
)
def test_halves_are_for_cpus(monkeypatch, kind, jit_compile, expected):
    devices = [Device(kind)]
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda: devices)
    assert halves_pay(jit_compile) is expected


@pytest.mark.parametrize("kind,expected", [("CPU", 256), ("GPU", 4096)])
def test_chunks_fit_the_device(monkeypatch, kind, expected):
    devices = [Device(kind)]
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda: devices)
    assert chunk_size((8, 8, 1)) == expected
    sizes = [chunk_size((side, side, 3)) for side in (32, 64, 128, 4096)]
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] == 1
    assert sizes[0] == 4 * sizes[1] == 16 * sizes[2]


@pytest.mark.parametrize("count", [1, 2, 5, 8, 9, 17])
def test_chunks_hold_every_row_once(count):
    chunks = rows_in_chunks(count, 4)
    assert max(map(len, chunks)) <= 4 and min(map(len, chunks)) >= 1
    np.testing.assert_array_equal(np.concatenate(chunks), range(count))


@pytest.mark.parametrize(
    "count,lengths",
    [
        (1, [1]),
        (3, [4]),
        (5, [8]),
        (8, [8]),
        (9, [8, 1]),
        (19, [8, 8, 4]),
    ],
)
def test_padded_chunks_have_few_lengths(count, lengths):
    chunks = rows_in_chunks(count, 8, padded=True)
    assert [len(chunk) for chunk in chunks] == lengths
    rows = np.concatenate(chunks)
    np.testing.assert_array_equal(rows[:count], range(count))
    assert (rows[count:] == count - 1).all()


@pytest.mark.parametrize("count", [1, 2, 3, 8, 9])
@pytest.mark.parametrize("static", [True, False])
def test_halves_are_the_whole(count, static):
    seen = []

    def function(x, nothing, y):
        seen.append(x.shape)
        return {"sum": x + y[:, tf.newaxis], "nothing": y}

    spec = [count if static else None]
    halved = tf.function(
        lambda x, y: in_halves(function, x, None, y),
        input_signature=[tf.TensorSpec([*spec, 2]), tf.TensorSpec(spec)],
    )
    x = np.arange(2.0 * count, dtype="float32").reshape(count, 2)
    y = np.arange(count, dtype="float32") * 100
    results = halved(x, y)
    np.testing.assert_array_equal(results["sum"], x + y[:, np.newaxis])
    np.testing.assert_array_equal(results["nothing"], y)
    assert len(seen) == 2
