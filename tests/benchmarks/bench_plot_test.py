import bench_plot
import numpy as np
import pytest
from PIL import Image


def row(network, batch, library, mode, milliseconds):
    spread = {name: milliseconds for name in ("median", "low", "high")}
    return {
        "network": network,
        "batch": batch,
        "library": library,
        "mode": mode,
        "dtype": "float32",
        "milliseconds_per_step": spread,
    }


ROWS = [
    row("base", 16, "clel_tf", "graph", 280.0),
    row("base", 16, "torch", "eager", 355.0),
    row("base", 16, "convolutions", "ceiling", 260.0),
    row("base", 64, "clel_tf", "graph", 1100.0),
    row("digits", 64, "clel_tf", "graph", 5.0),
    row("digits", 64, "clel_tf", "xla", 22.0),
]


@pytest.fixture
def axes(monkeypatch, tmp_path):
    kept = []
    monkeypatch.setattr(bench_plot.pyplot, "close", kept.append)
    bench_plot.plot({"chains": {"rows": ROWS}}, tmp_path / "bench.png")
    (figure,) = kept
    monkeypatch.undo()
    bench_plot.pyplot.close(figure)
    image = Image.open(tmp_path / "bench.png")
    assert np.asarray(image).std() > 10
    return figure.axes


def test_bars_are_of_each_networks_first_batch(axes):
    assert [a.get_title() for a in axes] == [
        "base, batch 16",
        "digits, batch 64",
    ]
    widths = [[bar.get_width() for bar in axis.patches] for axis in axes]
    assert widths == [[280, 355], [5, 22]]


def test_a_variant_has_the_same_place_in_every_network(axes):
    labels = [label.get_text() for label in axes[0].get_yticklabels()]
    assert labels == [
        "clel_tf, float32",
        "clel_tf, XLA, float32",
        "PyTorch, as the reference, float32",
    ]
    centers = [
        [b.get_y() + b.get_height() / 2 for b in a.patches] for a in axes
    ]
    np.testing.assert_allclose(centers, [[0, 2], [0, 1]])


def test_a_bar_of_xla_does_not_make_the_others_small(axes):
    assert axes[1].get_xlim()[1] == pytest.approx(1.3 * 5)
    assert [t.get_text().strip() for t in axes[1].texts] == ["5", "22 →"]
