import pytest
import tensorflow as tf

from clel_tf.samplers import resolve_jit_compile


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
