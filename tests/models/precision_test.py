import pytest
import tensorflow as tf

from clel_tf import presets
from clel_tf.models import EnergyResNet
from clel_tf.models import precision
from clel_tf.models import resolve_dtype


@pytest.mark.parametrize("dtype", [None, "float32", "mixed_float16"])
def test_a_decision_stands(dtype):
    assert resolve_dtype(dtype) is dtype


@pytest.mark.parametrize(
    "flags,onednn,expected",
    [
        ("fpu sse avx512_bf16 avx512f", None, "mixed_bfloat16"),
        ("fpu amx_bf16 amx_tile", "1", "mixed_bfloat16"),
        ("fpu sse avx512f", None, "float32"),
        ("fpu avx512_bf16", "0", "float32"),
    ],
)
def test_auto_follows_the_cpu(monkeypatch, tmp_path, flags, onednn, expected):
    cpu = tmp_path / "cpuinfo"
    cpu.write_text(f"processor\t: 0\nflags\t\t: {flags}\n\nprocessor\t: 1\n")
    monkeypatch.setattr(precision, "_CPU_INFORMATION", cpu)
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [])
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    if onednn:
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", onednn)
    assert resolve_dtype("auto") == expected


def test_a_cpu_that_does_not_tell_computes_in_float32(monkeypatch, tmp_path):
    monkeypatch.setattr(precision, "_CPU_INFORMATION", tmp_path / "none")
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [])
    assert resolve_dtype("auto") == "float32"


@pytest.mark.parametrize(
    "capabilities,expected",
    [
        ([(9, 0)], "mixed_bfloat16"),
        ([(8, 0), (7, 5)], "float32"),
        ([None], "float32"),
    ],
)
def test_auto_follows_the_gpus(monkeypatch, capabilities, expected):
    details = [{"compute_capability": c} if c else {} for c in capabilities]
    monkeypatch.setattr(
        tf.config,
        "get_visible_devices",
        lambda kind: details if kind == "GPU" else [],
    )
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", lambda device: device
    )
    assert resolve_dtype("auto") == expected


def test_networks_keep_what_auto_became():
    network = EnergyResNet((8, 8, 1), widths=(8,), depths=(1,), dtype="auto")
    policy = network.get_config()["dtype"]["config"]["name"]
    assert policy == resolve_dtype("auto")


def test_recipes_are_decided_part_by_part():
    recipe = presets.get("digits")
    recipe["encoder"]["dtype"] = "float32"
    decided = presets.with_dtypes(recipe)
    assert "dtype" not in recipe["energy_network"]
    assert decided["energy_network"]["dtype"] == resolve_dtype("auto")
    assert decided["encoder"]["dtype"] == "float32"
    assert presets.with_dtypes(recipe, "mixed_bfloat16")["encoder"][
        "dtype"
    ] == ("mixed_bfloat16")
