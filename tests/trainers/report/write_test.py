import base64
import html.parser
import io

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from clel_tf.images import make_grid
from clel_tf.trainers import report

HOSTILE = """</td><script>alert("1")</script><img src=x onerror='a()'> & $x$"""
OOD = f"folder:{HOSTILE}"
VOID = {"meta", "img", "br"}
SECTIONS = ["samples", "neighbours", "quality", "representation", "energies"]
SECTIONS += ["ood", "calibration", "latents", "chains", "glossary", "manifest"]


class Page(html.parser.HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.open, self.tags, self.texts, self.tables = [], [], [], {}
        self.feed(path.read_text("utf-8"))
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.rows = []
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "caption":
            self.caption = ""

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "table":
            self.tables[self.caption] = [
                [" ".join(text.split()) for text in row] for row in self.rows
            ]

    def handle_data(self, data):
        self.texts.append(data)
        if self.open[-1:] == ["caption"]:
            self.caption += data
        elif {"td", "th"} & set(self.open):
            self.rows[-1][-1] += f"*{data}*" if "strong" in self.open else data

    @property
    def text(self):
        return " ".join("".join(self.texts).split())

    def all(self, tag, attribute):
        found = [a for name, a in self.tags if name == tag]
        return [a[attribute] for a in found if attribute in a]


def figure(value, low, high):
    return {"value": value, "low": low, "high": high}


def detection(auroc):
    one = figure(0.5, 0.4, 0.6)
    names = ("aupr_out", "aupr_in", "fpr_at_95_tpr")
    return {"auroc": figure(*auroc), **dict.fromkeys(names, one)}


def energies(mean):
    return {"n": 1437, "mean": mean, "median": 1.5, "low": -1, "high": 120.4}


PARTS = {
    "samples": {"n": 1000, "start": "uniform noise", "num_steps": 140},
    "quality": {
        "reference": {"split": "train", "n": 1437},
        "extractors": {
            HOSTILE: {
                "identity": {"name": HOSTILE, "sha256": "ab" * 32},
                "metrics": {"frechet_distance": figure(0.2121, 0.19, 0.2349)},
                "test_split": {"frechet_distance": figure(0.18, 0.1, 0.2)},
            },
            "pixels": {"metrics": {"coverage": 0.6583}, "test_split": None},
        },
    },
    "representation": {
        "encoder": {"knn": {"5": figure(0.9777, 0.95, 0.99)}},
        "energy_network": {"linear_probe": figure(1, 0.99, 1)},
        "train": 1437,
        "test": 360,
    },
    "energies": {"train": energies(-2.25), OOD: energies(1234567.8)},
    "ood": {
        "scores": {HOSTILE: {"beta": 0.01}, "typicality": {}},
        "sets": {
            OOD: {
                "n": 360,
                "sha256": "cd" * 32,
                "detection": {
                    HOSTILE: detection([0.8125, 0.7, 0.9]),
                    "typicality": detection([0.875, 0.8, 0.9]),
                },
            }
        },
        "calibration": {
            "score": HOSTILE,
            "false_alarm_rate": 0.05,
            "threshold": -3.14159,
            "n": 180,
            "flagged": {"test": 0.0444, OOD: 0.8},
        },
    },
}
SMALLEST = {"run": {"workdir": HOSTILE}, "data": {"spec": "digits"}}
FULL = {
    **SMALLEST,
    "title": f"runs/{HOSTILE}",
    "command": ["clel-evaluate", f"--workdir={HOSTILE}"],
    "versions": {"clel_tf": "0.1.2"},
    **PARTS,
}


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    digits = load_digits()
    images = digits.images[..., None] / 16.0
    latents = rng.normal(size=(3, 20, 4))
    trace = ("energies", "gradient_norms", "displacements", "saturated")
    return {
        "samples": images[:100],
        "neighbours/samples": images[:2],
        "neighbours/images": images[:6].reshape(2, 3, 8, 8, 1),
        "neighbours/distances": np.array([[0.0, 1.5, 2], [0.25, 3, 4]]),
        "energies/train": rng.normal(size=50),
        f"energies/{OOD}": rng.normal(size=50),
        f"scores/{HOSTILE}/test": rng.normal(size=30),
        f"scores/{HOSTILE}/{OOD}": rng.normal(size=30),
        "latents/test": latents[0],
        "latents/samples": latents[1],
        f"latents/{OOD}": latents[2],
        "labels/test": digits.target[:20],
        f"images/{OOD}": images[:10],
        "trace/steps": np.arange(1, 9),
        **{f"trace/{name}": rng.random((8, 5)) for name in trace},
    }


@pytest.fixture(scope="module")
def path(tmp_path_factory, arrays):
    path = tmp_path_factory.mktemp("report") / "report.html"
    report.write(path, FULL, arrays)
    return path


@pytest.fixture(scope="module")
def page(path):
    return Page(path)


def written(tmp_path, found, arrays):
    report.write(tmp_path / "x.html", found, arrays)
    return Page(tmp_path / "x.html")


def test_the_page_is_one_file_that_loads_nothing(path, page):
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "iframe", "object", "base", "form"}
    assert all(x.startswith("data:image/") for x in page.all("img", "src"))
    linked = [x for _, a in page.tags for k, x in a.items() if k == "href"]
    assert linked and all(x.startswith("#") for x in linked)
    sources = [a for tag, a in page.tags if tag != "img" and "src" in a]
    assert not sources
    assert "url(" not in page.text and "@import" not in page.text
    assert any("default-src 'none'" in x for x in page.all("meta", "content"))
    assert [x.name for x in path.parent.iterdir()] == ["report.html"]
    assert path.stat().st_size < 3e6


def test_names_are_text_wherever_they_stand(page):
    assert not [k for _, a in page.tags for k in a if k.startswith("on")]
    (title,) = [x for x in page.texts if x.startswith("Evaluation of runs/")]
    assert title == f"Evaluation of runs/{HOSTILE}"
    head = page.tables["AUROC, higher is better"]
    assert head[0] == ["set", HOSTILE, "typicality"]
    assert head[1][0] == OOD
    assert page.text.count("<script>") > 10
    alts = page.all("img", "alt")
    assert f"ROC curves of telling {OOD} from test images" in alts


def test_every_section_is_there_and_linked(page):
    assert page.all("section", "id") == SECTIONS
    assert page.all("a", "href") == [f"#{name}" for name in SECTIONS]


@pytest.mark.parametrize(
    "part,prefixes,sections",
    [
        ("", (), []),
        ("", ("samples",), ["samples"]),
        ("", ("neighbours/",), ["neighbours"]),
        ("", ("trace/",), ["chains"]),
        ("", ("latents/", "labels/"), ["latents"]),
        ("quality", (), ["quality", "glossary"]),
        ("representation", (), ["representation", "glossary"]),
        ("energies", (), ["energies"]),
        ("energies", ("energies/",), ["energies"]),
        ("ood", (), ["ood", "calibration", "glossary"]),
    ],
)
def test_a_section_needs_its_own_data_only(
    tmp_path, arrays, part, prefixes, sections
):
    found = {**SMALLEST, part: PARTS[part]} if part else SMALLEST
    some = {k: x for k, x in arrays.items() if k.startswith(prefixes)}
    page = written(tmp_path, found, some if prefixes else {})
    assert page.all("section", "id") == [*sections, "manifest"]


def test_tables_hold_the_figures(page):
    assert page.tables["Metrics by features"] == [
        ["", HOSTILE, "pixels"],
        ["metric", "samples", "test split", "samples"],
        ["Fréchet distance ↓", "0.212 [0.190, 0.235]"]
        + ["0.180 [0.100, 0.200]", "–"],
        ["Coverage ↑", "–", "–", "0.658"],
    ]
    assert page.tables["Accuracy of latents"] == [
        ["classifier", "encoder", "energy network"],
        ["5-NN ↑", "0.978 [0.950, 0.990]", "–"],
        ["linear probe ↑", "–", "1.00 [0.990, 1.00]"],
    ]
    assert page.tables["AUROC, higher is better"][1] == [
        OOD,
        "0.812 [0.700, 0.900]",
        "*0.875* [0.800, 0.900]",
    ]
    assert page.tables["Energies of sets"][1:3] == [
        ["train", "", "1.50 [-1.00, 120]", "-2.25", "1,437"],
        [OOD, "", "1.50 [-1.00, 120]", "1,234,568", "1,437"],
    ]
    assert page.tables["Share of images above the threshold"][1:] == [
        ["test", "4.4%"],
        [OOD, "80.0%"],
    ]


def test_the_other_figures_of_detection_are_there(page):
    for label, better in (
        ("FPR at 95% TPR", "lower"),
        ("AUPR, other set", "higher"),
        ("AUPR, data", "higher"),
    ):
        rows = page.tables[f"{label}, {better} is better"]
        assert rows[1] == [OOD] + 2 * ["*0.500* [0.400, 0.600]"]


def test_the_text_holds_the_figures(page):
    assert f"where its {HOSTILE} is above -3.14: a threshold" in page.text
    assert "from 180 test images, at which at most 5.0% of" in page.text
    for text in ("ab" * 32, "cd" * 32, '"clel_tf": "0.1.2"'):
        assert text in page.text
    assert "Euclidean" in page.text and "Squared distance of two" in page.text


def test_the_command_can_be_given_again(page):
    quoted = HOSTILE.replace("'", "'\"'\"'")
    assert f"clel-evaluate '--workdir={quoted}'" in page.text


def test_pictures_are_those_of_the_arrays(page, arrays):
    grids = [a["src"] for _, a in page.tags if a.get("alt") == "50 samples"]
    file = io.BytesIO(base64.b64decode(grids[1].partition(",")[2]))
    expected = arrays["samples"][50:].repeat(6, axis=1).repeat(6, axis=2)
    with Image.open(file) as picture:
        np.testing.assert_array_equal(
            np.asarray(picture), make_grid(expected, 10)[..., 0]
        )
    # Grids; neighbours; histograms, axis; curves; examples; maps; chains.
    assert len(page.all("img", "src")) == 2 + 8 + 3 + 1 + 1 + 3 + 4


def test_the_page_can_be_heard(page):
    assert page.all("html", "lang") == ["en"]
    assert all(page.all("img", "alt"))
    assert len(page.all("img", "alt")) == len(page.all("img", "src"))
    scopes = page.all("th", "scope")
    assert len(scopes) == len([tag for tag, _ in page.tags if tag == "th"])
    assert set(scopes) == {"row", "col", "colgroup"}


def test_the_page_is_a_function_of_what_it_shows(path, tmp_path, arrays):
    report.write(tmp_path / "again.html", FULL, arrays)
    assert (tmp_path / "again.html").read_bytes() == path.read_bytes()


def test_what_diverged_is_shown_too(tmp_path, arrays):
    broken = {
        name: np.full_like(values, np.nan, dtype="float64")
        for name, values in arrays.items()
        if name not in ("labels/test", "trace/steps")
    }
    page = written(tmp_path, FULL, {**arrays, **broken})
    assert not {"latents", "chains"} & set(page.all("section", "id"))
    assert "quality" in page.all("section", "id")


def test_names_of_files_may_hold_any_bytes(tmp_path):
    found = {**SMALLEST, "title": "runs/\udcff\N{SNOWMAN}"}
    page = written(tmp_path, found, {})
    assert "runs/\\udcff\N{SNOWMAN}" in page.text


def test_a_failure_keeps_the_old_page(tmp_path, arrays):
    path = tmp_path / "report.html"
    path.write_text("old")
    with pytest.raises(ValueError, match="C 1 or 3"):
        report.write(path, SMALLEST, {"samples": np.zeros([2, 8, 8, 2])})
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_refuses_a_report_of_nothing(tmp_path):
    with pytest.raises(ValueError, match=r"with \['data', 'run'\]; received"):
        report.write(tmp_path / "x.html", {"run": {}}, {})
