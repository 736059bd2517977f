import growth
import pytest
import scales


def test_a_chain_has_its_settings_shape():
    images = growth.chain(growth.Setting(8, width=4, steps=1, batch=3))()
    assert images.shape == (3, 8, 8, 3)


def test_settings_differ_in_one_field_and_times_are_of_a_step(monkeypatch):
    made = []
    monkeypatch.setattr(growth, "chain", made.append)
    monkeypatch.setattr(
        growth.timing,
        "interleaved",
        lambda chains, rounds: {s: 0.003 * s.steps for s in chains},
    )
    rows = growth.measure(scales.QUICK)["rows"]
    default = growth.Setting()._asdict()
    for row in rows:
        times = row["milliseconds_per_step"]
        assert times["median"] == pytest.approx(3)
        changed = {k for k in default if row[k] != default[k]}
        assert changed <= {row["against"]}
    assert len(made) == len(set(made)) < len(rows) == 13
