import dataclasses
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from clel_tf import data
from clel_tf import metrics
from clel_tf import presets
from clel_tf.trainers import evaluate_lib
from clel_tf.trainers import runs
from clel_tf.trainers.run_directory import RunDirectory

DIGITS = data.load("digits").take(500)
PRINTING = """
import dataclasses, json
from clel_tf.trainers import evaluate, evaluate_lib
evaluate_lib.evaluate = lambda options: print(json.dumps(
    dataclasses.asdict(options)))
evaluate.run()
"""
SETTINGS = {
    "seed": 7,
    "num_samples": 60,
    "steps": 3,
    "ood": ["blur", "only:3,4:digits"],
    "scores": ["marginal_energy", "latent_neighbors", "joint_energy"],
    "beta": 0.1,
    "false_alarm_rate": 0.1,
}


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run") / "<digits>"
    recipe = presets.get("digits")
    for name in ("energy_network", "encoder"):
        recipe[name].update(widths=[8, 8], depths=[1, 1], head_width=16)
        recipe[name]["dtype"] = "float32"
    model = presets.build(recipe)
    model.measure_energy_scale(DIGITS.x_test)
    config = {"preset": "digits", "recipe": recipe, "max_images": 500}
    RunDirectory(workdir).create(config)
    model.save(workdir / "model.keras")
    np.savez(workdir / "class_directions.npz", directions=np.eye(10, 64))
    return workdir


@pytest.fixture(scope="module", autouse=True)
def model(workdir):
    # Loaded once, so that graphs are compiled once too.
    load = runs.load_model
    loaded = load(workdir)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            runs,
            "load_model",
            lambda path: loaded if path == str(workdir) else load(path),
        )
        yield loaded


@pytest.fixture(scope="module")
def out(workdir, tmp_path_factory):
    out = tmp_path_factory.mktemp("report") / "report"
    evaluate_lib.evaluate(options(workdir, out))
    return out


@pytest.fixture(scope="module")
def report(out):
    return json.loads((out / "report.json").read_text())


def options(workdir, out, **others):
    return evaluate_lib.Options(
        str(workdir), str(out), **{**SETTINGS, **others}
    )


def unit(images):
    return (images + 0.5) / 17


def test_figures_of_samples_are_those_of_the_models_samples(model, report):
    samples = model.sample(60, num_steps=3, seed=7)
    train = unit(DIGITS.x_train)
    found = report["quality"]["extractors"]["pixels"]
    assert report["quality"]["reference"] == {"split": "train", "n": 500}
    points = [x.reshape(len(x), -1) for x in (samples, train)]
    with pytest.warns(UserWarning, match="samples"):
        expected = metrics.frechet_distance(*points)
    one = found["metrics"]["frechet_distance"]
    assert one["value"] == pytest.approx(expected, rel=1e-4)
    assert one["low"] < one["value"] < one["high"]
    expected = metrics.prdc(*points)._asdict()
    for name, value in expected.items():
        assert found["metrics"][name]["value"] == pytest.approx(value, abs=0.02)
    floor = found["test_split"]["precision"]["value"]
    expected = metrics.prdc(unit(DIGITS.x_test), train).precision
    # An image in the surface of a ball is in it or not, by rounding.
    assert floor == pytest.approx(expected, abs=0.01)


def test_the_jackknife_is_the_spread_of_a_mean():
    from clel_tf.trainers.evaluation.sample_figures import _jackknife

    values = np.random.default_rng(0).normal(size=4000)
    found = _jackknife(lambda rows: {"mean": values[rows].mean()}, 4000)["mean"]
    # Of ten groups' means: within the chi distribution of nine degrees.
    low, high = stats.chi2(9).ppf([0.001, 0.999]) / 9
    error = 1 / np.sqrt(4000)
    assert low < (found["standard_error"] / error) ** 2 < high


def test_accuracies_are_those_of_the_models_latents(model, report):
    for name, latents in (
        ("encoder", model.latents),
        ("energy_network", model.energy_latents),
    ):
        train, test = latents(DIGITS.x_train), latents(DIGITS.x_test)
        found = report["representation"][name]
        assert list(found["knn"]) == ["1", "5", "20"]  # no class has 200
        for k, one in found["knn"].items():
            judge = KNeighborsClassifier(int(k), metric="cosine")
            judge.fit(train, DIGITS.y_train)
            expected = judge.score(test, DIGITS.y_test)
            assert one["value"] == pytest.approx(expected, abs=0.01)
            assert one["low"] < one["value"] < one["high"]
        probe = make_pipeline(
            StandardScaler(), LogisticRegression(max_iter=2000)
        ).fit(train, DIGITS.y_train)
        expected = probe.score(test, DIGITS.y_test)
        assert found["linear_probe"]["value"] == pytest.approx(
            expected, abs=0.03
        )


def test_detection_is_that_of_the_models_scores(model, report):
    sets = report["ood"]["sets"]
    others = DIGITS.x_test[np.isin(DIGITS.y_test, (3, 4))]
    assert list(sets) == ["blur:digits", "only:3,4:digits"]
    assert sets["only:3,4:digits"]["n"] == len(others)
    inside, outside = (
        model.predict(x, verbose=0) for x in (DIGITS.x_test, others)
    )
    truth = np.repeat([0, 1], [len(inside), len(outside)])
    expected = roc_auc_score(truth, np.concatenate([inside, outside]))
    found = sets["only:3,4:digits"]["detection"]["marginal_energy"]["auroc"]
    assert found["value"] == pytest.approx(expected, abs=1e-3)
    assert found["low"] < found["value"] < found["high"]


def test_the_saved_model_flags_as_reported(out, report):
    calibrated = runs.load_model(out)
    calibration = report["ood"]["calibration"]
    assert calibration["score"] == "marginal_energy"
    assert calibrated.ood_threshold == calibration["threshold"]
    flagged = calibrated.is_ood(DIGITS.x_test[::2])
    assert flagged.mean() <= 0.1
    blurred = data.load("blur:digits").x_test
    share = calibrated.is_ood(blurred).mean()
    assert calibration["flagged"]["blur:digits"] == pytest.approx(share)
    assert runs.class_latents(out).shape == (10, 64)


def test_the_manifest_tells_what_figures_depend_on(report, model, workdir):
    assert report["samples"]["seeds"] == [7]
    assert report["samples"]["num_steps"] == 3
    assert report["samples"]["sampler"] == model.sampler.get_config()
    assert report["run"]["workdir"] == str(workdir)
    assert set(report["data"]["sha256"]) == {"train", "test"}
    hashes = [*report["data"]["sha256"].values(), report["samples"]["sha256"]]
    hashes += [report["run"]["weights_sha256"]]
    hashes += [one["sha256"] for one in report["ood"]["sets"].values()]
    assert len(set(hashes)) == len(hashes)
    assert all(len(one) == 64 for one in hashes)


def test_the_page_shows_the_runs_name_as_text(out, report):
    page = (out / "report.html").read_text()
    assert "&lt;digits&gt;" in page and "<digits>" not in page


def test_an_evaluation_goes_on_where_it_was_stopped(
    workdir, out, report, tmp_path, monkeypatch, capsys
):
    with monkeypatch.context() as stopped:
        stopped.setattr(
            metrics,
            "detection",
            lambda *a, **k: exec("raise KeyboardInterrupt"),
        )
        with pytest.raises(KeyboardInterrupt):
            evaluate_lib.evaluate(options(workdir, tmp_path / "report"))
    assert not (tmp_path / "report" / "report.json").exists()
    capsys.readouterr()
    again = evaluate_lib.evaluate(options(workdir, tmp_path / "report"))
    told = capsys.readouterr().out.splitlines()
    told = {line.split()[0]: line.split()[1:] for line in told if line}
    assert told["samples/1-60"] == told["pixels/prdc"] == ["kept"]
    assert told["detection"][1:] == ["s"]
    # Nothing is left of what the first one had accumulated.
    names = ("quality", "representation", "ood", "energies", "samples")
    assert {k: again[k] for k in names} == {k: report[k] for k in names}


@pytest.mark.slow
def test_copies_of_training_images_are_memorised(
    workdir, model, tmp_path, monkeypatch
):
    copies = ((DIGITS.x_train[:20] + 0.5) / 17).astype("float32")
    monkeypatch.setattr(model, "sample", lambda *a, **k: copies)
    request = {"num_samples": 20, "ood": (), "extractors": ["pixels"]}
    found = evaluate_lib.evaluate(options(workdir, tmp_path / "a", **request))
    quality = found["quality"]["extractors"]["pixels"]["metrics"]
    assert quality["memorised"]["value"] == 1.0
    assert 0.8 < quality["memorised"]["low"] < 1.0
    assert "ood" not in found
    found = evaluate_lib.evaluate(
        options(workdir, tmp_path / "b", reference="test", **request)
    )
    quality = found["quality"]["extractors"]["pixels"]
    assert "memorised" not in quality["metrics"]
    assert quality["test_split"] is None


def test_another_request_leaves_the_report_as_it_is(workdir, out):
    before = (out / "report.json").read_bytes()
    with pytest.raises(ValueError, match="samples.seed: 7 there, 8 asked for"):
        evaluate_lib.evaluate(options(workdir, out, seed=8))
    assert (out / "report.json").read_bytes() == before


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"scores": ["entropy"]}, "received: entropy"),
        ({"scores": []}, "received: none"),
        ({"extractors": ["vgg"]}, "received: 'vgg'"),
        ({"extractors": ["keras:none.keras"]}, "none.keras"),
        ({"extractors": ["inception"], "inception": "none.pb"}, "none.pb"),
        ({"ood": ["npz:large.npz"]}, r"received: \(9, 8, 1\)"),
        ({"ood": ["npz:one.npz"]}, "at least 2 images"),
        ({"ood": ["only:11:digits"]}, "11"),
        ({"ood": ["blur", "blur:digits"]}, "received twice"),
        ({"data": "npz:large.npz"}, r"received: npz:large.npz of \(9, 8, 1\)"),
        ({"data": "npz:one.npz"}, "of 256"),
        ({"workdir": "nothing"}, "nothing"),
        ({"false_alarm_rate": 0.001}, "at least 999 .* received: 180"),
        ({"false_alarm_rate": 0.0}, "between 0 and 1"),
        ({"final_steps": 4}, r"in \[0, 3\]"),
        ({"rounds": 2}, "chains are augmented"),
        ({"extractors": ["keras:other.keras"]}, r"it takes \(9, 8, 1\)"),
    ],
)
def test_wrong_requests_are_refused_before_any_work(
    wrong, words, workdir, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    inputs = keras.Input((9, 8, 1))
    outputs = keras.layers.GlobalAveragePooling2D()(inputs)
    keras.Model(inputs, outputs).save("other.keras")
    np.savez("large.npz", x=np.zeros((3, 9, 8, 1), np.uint8))
    np.savez("one.npz", x=np.zeros((1, 8, 8, 1), np.uint8))
    asked = dataclasses.replace(options(workdir, "report"), **wrong)
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        evaluate_lib.evaluate(asked)
    assert not (tmp_path / "report").exists()


def test_sets_of_more_grey_levels_are_given_as_many_as_the_models(
    workdir, tmp_path, monkeypatch
):
    from clel_tf.trainers.evaluation import inputs as evaluation_inputs

    monkeypatch.chdir(tmp_path)
    ramp = np.arange(256, dtype=np.uint8).reshape(4, 8, 8, 1)
    np.savez("ramp.npz", x=ramp)
    asked = options(workdir, "report", ood=["npz:ramp.npz"])
    images = evaluation_inputs.load(asked).ood["npz:ramp.npz"]
    expected = np.minimum(ramp.astype(int) * 17 // 256, 16)
    assert np.abs(images.astype(int) - expected).max() <= 1
    counts = np.bincount(images.ravel(), minlength=17)
    assert len(counts) == 17 and counts.min() >= 15


def test_every_flag_arrives_where_it_is_meant(tmp_path):
    given = {
        "workdir": "run",
        "out": "report",
        "data": "npz:a.npz",
        "seed": 3,
        "num_samples": 20,
        "steps": 30,
        "rounds": 2,
        "final_steps": 5,
        "batch_size": 10,
        "extractors": ["pixels", "inception"],
        "inception": "x.pb",
        "allow_unknown_inception": True,
        "reference": "test",
        "ood": ["noise", "npz:b.npz"],
        "scores": ["typicality", "joint_energy"],
        "beta": 0.5,
        "false_alarm_rate": 0.01,
    }
    fields = {x.name for x in dataclasses.fields(evaluate_lib.Options)}
    assert set(given) == fields
    flags = {"extractors": "extractor", "scores": "score"}
    arguments = []
    for name, value in given.items():
        flag = flags.get(name, name)
        if name == "ood":
            arguments += [f"--ood={one}" for one in value]
        elif isinstance(value, list):
            arguments.append(f"--{flag}={','.join(value)}")
        else:
            arguments.append(f"--{flag}={value}")
    printing = subprocess.run(
        [sys.executable, "-c", PRINTING, *arguments],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert json.loads(printing.stdout) == given
