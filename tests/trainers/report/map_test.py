import numpy as np
from matplotlib import colors
from matplotlib.figure import Figure

from clel_tf.trainers.report import map as report_map


def clusters(n, seed=0):
    """Points of two clusters, far apart in 16 dimensions, in turn."""
    rng = np.random.default_rng(seed)
    centres = np.eye(16)[:2] * 50
    return centres[np.arange(n) % 2] + rng.normal(size=(n, 16))


def test_points_that_are_near_stay_near():
    sets = {"a": clusters(40), "b": clusters(30, seed=1)}
    places = report_map.embed(sets)
    assert [(k, x.shape) for k, x in places.items()] == [
        ("a", (40, 2)),
        ("b", (30, 2)),
    ]
    both = np.concatenate([places["a"], places["b"]])
    kinds = np.concatenate([np.arange(40), np.arange(30)]) % 2
    apart = np.linalg.norm(both[:, None] - both, axis=-1)
    np.fill_diagonal(apart, np.inf)
    assert (kinds[apart.argmin(axis=1)] == kinds).all()
    np.testing.assert_array_equal(both.min(axis=0), [0, 0])
    np.testing.assert_array_equal(both.max(axis=0), [1, 1])
    np.testing.assert_array_equal(report_map.embed(sets)["b"], places["b"])


def test_classes_have_colours_and_names():
    axis = Figure().add_subplot()
    places = np.random.default_rng(0).random((9, 2))
    labels = np.array([0, 7, 7, 3, 0, 3, 3, 0, 7])
    report_map.draw_classes(axis, places, labels)
    names = [text.get_text() for text in axis.texts]
    assert names == ["0", "3", "7"]
    for label, text, points in zip((0, 3, 7), axis.texts, axis.collections):
        own = places[labels == label]
        np.testing.assert_array_equal(points.get_offsets(), own)
        np.testing.assert_allclose(text.get_position(), np.median(own, axis=0))
    drawn = {colors.to_hex(x.get_facecolor()[0]) for x in axis.collections}
    assert len(drawn) == 3


def test_points_without_classes_have_one_colour():
    axis = Figure().add_subplot()
    report_map.draw_classes(axis, np.random.default_rng(0).random((9, 2)))
    assert len(axis.collections) == 1 and not axis.texts


def test_sets_are_shown_in_one_place():
    axes = [Figure().add_subplot() for _ in range(2)]
    places = np.random.default_rng(0).random((9, 2))
    report_map.draw_classes(axes[0], places)
    report_map.draw_among(axes[1], places[:2] / 2, places)
    assert axes[0].get_xlim() == axes[1].get_xlim()
    others, own = axes[1].collections
    np.testing.assert_array_equal(others.get_offsets(), places)
    np.testing.assert_array_equal(own.get_offsets(), places[:2] / 2)


def test_a_map_has_few_enough_points(monkeypatch):
    embedded, drawn = {}, {}

    def first_two(sets):
        embedded.update(sets)
        return {name: x[:, :2] / 2000 for name, x in sets.items()}

    def draw_classes(axis, places, labels):
        drawn.update(places=places, labels=labels)

    monkeypatch.setattr(report_map, "embed", first_two)
    monkeypatch.setattr(report_map, "draw_classes", draw_classes)
    latents = np.arange(2000.0)[:, None].repeat(4, axis=1)
    broken = latents.copy()
    broken[::2] = np.nan
    arrays = {
        "latents/test": latents,
        "labels/test": np.arange(2000) // 1000,
        "latents/samples": broken,
        "latents/blur": latents,
        "latents/mix": latents[:7],
    }
    pictures = report_map.pictures(arrays)
    counts = {name: len(x) for name, x in embedded.items()}
    assert counts == {"test": 750, "samples": 300, "blur": 225, "mix": 7}
    assert sum(counts.values()) <= 1500
    # Spread over a set, whose images may be in the order of their classes.
    for name in ("test", "blur"):
        gaps = np.diff(embedded[name][:, 0])
        assert embedded[name][[0, -1], 0].tolist() == [0, 1999]
        assert np.ptp(gaps) <= 1
    later = drawn["places"][:, 0] >= 0.5
    np.testing.assert_array_equal(drawn["labels"], later)
    assert (embedded["samples"][:, 0] % 2 == 1).all()
    assert [picture.caption for picture in pictures] == [
        "test images, by class",
        "samples",
        "blur",
        "mix",
    ]


def test_nothing_to_map():
    latents = np.random.default_rng(0).normal(size=(9, 4))
    assert report_map.pictures({"latents/samples": latents}) == []
    assert report_map.pictures({"latents/test": latents}) == []
    wide = latents.reshape(36, 1)
    assert report_map.pictures({"latents/test": wide}) == []
