"""Exports in TensorFlow's C++ core, without Python, as a server has them."""

import base64
import io
import json
import pathlib
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from PIL import PngImagePlugin

from clel_tf import random
from clel_tf.data.dequantize import to_bytes
from clel_tf.samplers import energies

HERE = pathlib.Path(__file__).parent
LIBRARIES = pathlib.Path(tf.__file__).parent
STEPS, MAX_STEPS = 4, 6
INVALID_ARGUMENT = 3
NAMES = (
    "sample",
    "sample_conditional",
    "sample_class",
    "sample_like",
    "sample_composed",
    "inpaint",
    "refine",
    "energy",
    "latents",
    "ood_score",
)


def encoded(values):
    values = np.asarray(values, order="C")
    if values.dtype == object:
        texts = [base64.b64encode(x).decode() for x in values.flat]
        return ["string", list(values.shape), texts]
    data = base64.b64encode(values.tobytes()).decode()
    return [values.dtype.name, list(values.shape), data]


def decoded(reply):
    if "code" in reply:
        return reply
    return {name: _decoded(*array) for name, array in reply.items()}


def _decoded(dtype, shape, data):
    if dtype == "string":
        return [base64.b64decode(x) for x in data]
    return np.frombuffer(base64.b64decode(data), dtype).reshape(shape)


def serve(path, requests):
    """Replies to (signature, inputs) pairs of a process of its own."""
    finished = subprocess.run(
        [sys.executable, HERE / "c_api.py", LIBRARIES, path],
        input=json.dumps(
            [
                [name, {k: encoded(v) for k, v in inputs.items()}]
                for name, inputs in requests
            ]
        ),
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    return [decoded(reply) for reply in json.loads(finished.stdout)]


def png(image, **options):
    file = io.BytesIO()
    Image.fromarray(image[..., 0]).save(file, "png", **options)
    return file.getvalue()


def pngs(images):
    return np.array([png(to_bytes(image)) for image in images], object)


def latents_of(rows):
    return np.random.default_rng(3).normal(size=(rows, 64)).astype("float32")


COUNTS = np.array([1, 6, 3, 3, 5])
CLASS_IDS = np.array([2, 0, 1, 1, 2])


# AND of two classes, NOT of the third.
WEIGHTS = np.tile(np.array([1.0, 0.5, -1.0], np.float32), (5, 1))
MASKS = np.zeros((5, 8, 8, 1), np.float32)
MASKS[:, :3] = 1.0


@pytest.fixture(scope="module")
def served(path, images):
    seed = random.row_seeds(0, 5)
    inputs = {
        "serving_default": {"seed": seed},
        "sample": {"seed": seed},
        "sample_conditional": {"seed": seed, "latents": latents_of(5)},
        "sample_class": {"seed": seed, "class_id": CLASS_IDS},
        "sample_like": {"seed": seed, "images": images},
        "sample_composed": {"seed": seed, "weights": WEIGHTS},
        "inpaint": {"seed": seed, "images": images, "mask": MASKS},
        "refine": {"seed": seed, "images": images, "num_steps": COUNTS},
        "energy": {"images": images},
        "latents": {"images": images},
        "ood_score": {"images": images},
    }
    for name, arrays in list(inputs.items()):
        twin = {k: v for k, v in arrays.items() if k != "images"}
        if "images" in arrays:
            twin["image_bytes"] = pngs(images)
        if name != "serving_default":
            inputs[f"{name}_png"] = twin
    replies = serve(path, inputs.items())
    return dict(zip(inputs, replies))


@pytest.fixture(scope="module")
def expected(model, images, class_latents):
    """What the model itself gives, by way of its Python methods."""

    def results(images):
        refined = np.zeros_like(images)
        for count in set(COUNTS):
            rows = COUNTS == count
            steps = int(count)
            moved = model.sample(5, initial=images, num_steps=steps)
            refined[rows] = moved[rows]
        score = model.score(images)
        threshold = np.full(5, 0.25, "float32")
        draw = {"num_steps": STEPS}
        sample = {"images": model.sample(5, **draw)}
        of_class = class_latents[CLASS_IDS]
        own = model.latents(images)
        a, b, c = (model.guidance(z) for z in class_latents)
        composed = a + 0.5 * b + ~c
        return {
            "serving_default": sample,
            "sample": sample,
            "sample_conditional": {
                "images": model.sample(5, latents=latents_of(5), **draw)
            },
            "sample_class": {
                "images": model.sample(5, latents=of_class, **draw)
            },
            "sample_like": {"images": model.sample(5, latents=own, **draw)},
            "sample_composed": {
                "images": model.sample(5, energy=composed, **draw)
            },
            "inpaint": {
                "images": model.sample(
                    5, energy=energies.Inpaint(images, MASKS), **draw
                )
            },
            "refine": {"images": refined},
            "energy": {"energy": model.predict(images, verbose=0)},
            "latents": {"latents": own},
            "ood_score": {
                "score": score,
                "threshold": threshold,
                "is_ood": score > threshold,
            },
        }

    # A byte stands for the midpoint of what it was rounded from.
    of_bytes = (to_bytes(images) + np.float32(0.5)) / np.float32(256)
    png = {f"{name}_png": x for name, x in results(of_bytes).items()}
    return {**results(images), **png}


@pytest.mark.parametrize("name", ["serving_default", *NAMES])
def test_every_signature_gives_what_the_model_gives(served, expected, name):
    assert set(served[name]) == set(expected[name])
    for key, values in expected[name].items():
        np.testing.assert_allclose(served[name][key], values, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_every_signature_takes_and_gives_png_files(served, expected, name):
    reply = dict(served[f"{name}_png"])
    wanted = dict(expected[f"{name}_png"])
    if "images" in wanted:
        files = [Image.open(io.BytesIO(x)) for x in reply.pop("image_bytes")]
        assert all(
            (f.format, f.mode, f.size) == ("PNG", "L", (8, 8)) for f in files
        )
        bytes_ = np.stack([np.asarray(f) for f in files])[..., np.newaxis]
        # One where rounding of floats crosses from a byte to the next.
        difference = bytes_.astype(int) - to_bytes(wanted.pop("images"))
        assert np.abs(difference).max() <= 1
        assert np.mean(difference != 0) < 0.01
    assert set(reply) == set(wanted)
    for key, values in wanted.items():
        np.testing.assert_allclose(reply[key], values, atol=1e-5)


@pytest.mark.slow
def test_xla_is_off_in_that_process(xla_path):
    seed = random.row_seeds(0, 5)
    (reply,) = serve(xla_path, [("sample_xla", {"seed": seed})])
    assert "XLA compilation disabled" in reply["message"]


def test_a_row_is_its_own_in_every_batch(path):
    seeds = random.row_seeds(1, 8)
    others = random.row_seeds(2, 8)
    mixed = np.concatenate([others[:5], seeds[3:4], others[6:]])
    batch, alone, mixed = serve(
        path,
        [
            ("sample", {"seed": seeds}),
            ("sample", {"seed": seeds[3:4]}),
            ("sample", {"seed": mixed}),
        ],
    )
    row = batch["images"][3]
    np.testing.assert_array_equal(mixed["images"][5], row)  # of 8, bit by bit
    np.testing.assert_allclose(alone["images"][0], row, atol=1e-5)
    assert np.abs(mixed["images"][3] - row).max() > 0.1


def chunk(name, data):
    body = name + data
    return (
        struct.pack(">I", len(data))
        + body
        + struct.pack(">I", zlib.crc32(body))
    )


def bomb():
    """A PNG file of a kilobyte that stands for 2.5 gigabytes of pixels."""
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes(10**6))
    parts = chunk(b"IHDR", header), chunk(b"IDAT", data), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def text_bomb():
    """A PNG file of the right size with a gigabyte of compressed text."""
    info = PngImagePlugin.PngInfo()
    for i in range(20):
        info.add_text(f"text {i}", "a" * (5 * 10**6), zip=True)
    return png(np.zeros((8, 8, 1), "uint8"), pnginfo=info)


ONE = np.ones([1], np.int64)
GRAY = np.full([1, 8, 8, 1], 0.5, np.float32)
GOOD = png(np.zeros((8, 8, 1), "uint8"))


def of_bytes(*files):
    return {"image_bytes": np.array(files, object)}


def refine(steps):
    return {"seed": ONE, "images": GRAY, "num_steps": np.array([steps])}


HOSTILE = {
    "no rows": (
        "sample",
        {"seed": ONE[:0]},
        "Expected `seed` of at least one row; received shape:] [0]",
    ),
    "no images": (
        "energy",
        {"images": GRAY[:0]},
        "Expected `images` of at least one row; received shape:] [0 8 8 1]",
    ),
    "seeds of floats": ("sample", {"seed": np.ones([1], np.float32)}, "int64"),
    "a scalar": ("sample", {"seed": np.array(1)}, "sample_seed"),
    "a matrix": ("sample", {"seed": np.ones([2, 2], np.int64)}, "[2,2]"),
    "larger images": (
        "energy",
        {"images": np.zeros([1, 16, 16, 1], np.float32)},
        "energy_images_0_0 [1,16,16,1] is not compatible with expected shape "
        "[?,8,8,1]",
    ),
    "an image": ("latents", {"images": GRAY[0]}, "latents_images"),
    "unequal rows": (
        "sample_conditional",
        {"seed": ONE, "latents": latents_of(2)},
        "Expected as many rows of `seed` as of `latents`; received shapes:] "
        "[1] [2 64]",
    ),
    "fewer classes": (
        "sample_class",
        {"seed": np.ones([2], np.int64), "class_id": ONE},
        "as many rows of `seed` as of `class_id`; received shapes:] [2] [1]",
    ),
    "fewer exemplars": (
        "sample_like",
        {"seed": np.ones([2], np.int64), "images": GRAY},
        "as many rows of `seed` as of `images`",
    ),
    "weights of other classes": (
        "sample_composed",
        {"seed": ONE, "weights": WEIGHTS[:1, :2]},
        "[1,2]",
    ),
    "NaN weights": (
        "sample_composed",
        {"seed": ONE, "weights": np.nan * WEIGHTS[:1]},
        "Expected `weights` in [",
    ),
    "a mask of two": (
        "inpaint",
        {"seed": ONE, "images": GRAY, "mask": 2.0 * MASKS[:1]},
        "Expected `mask` in [0, 1]; received values from and to:] [0] [2]",
    ),
    "fewer masks": (
        "inpaint",
        {
            "seed": np.ones([2], np.int64),
            "images": np.repeat(GRAY, 2, axis=0),
            "mask": MASKS[:1],
        },
        "as many rows of `seed` as of `mask`",
    ),
    "fewer images": (
        "refine",
        {**refine(1), "images": np.repeat(GRAY, 2, axis=0)},
        "as many rows of `seed` as of `images`",
    ),
    "fewer counts": (
        "refine",
        {**refine(1), "num_steps": np.array([1, 2])},
        "as many rows of `seed` as of `num_steps`",
    ),
    "no counts": (
        "refine",
        {**refine(1), "num_steps": ONE[:0]},
        "Expected `num_steps` of at least one row",
    ),
    "wrong latents": (
        "sample_conditional",
        {"seed": ONE, "latents": latents_of(1)[:, :3]},
        "[1,3]",
    ),
    "no direction": (
        "sample_conditional",
        {"seed": ONE, "latents": 0 * latents_of(1)},
        "Expected `latents` finite and without zero vectors",
    ),
    "NaN latents": (
        "sample_conditional",
        {"seed": ONE, "latents": np.nan * latents_of(1)},
        "Expected `latents` finite",
    ),
    "NaN images": ("ood_score", {"images": GRAY * np.nan}, "[0, 1]"),
    "huge images": ("ood_score", {"images": GRAY * 1e38}, "[0, 1]; received"),
    "no such class": (
        "sample_class",
        {"seed": ONE, "class_id": np.array([3])},
        "Expected `class_id` in [0, 2]; received values from and to:] [3] [3]",
    ),
    "a gigantic count": (
        "refine",
        refine(2**62),
        "Expected `num_steps` in [1, 6]; received values from and to:] "
        "[4611686018427387904]",
    ),
    "one step too many": ("refine", refine(MAX_STEPS + 1), "[1, 6]"),
    "no steps": ("refine", refine(0), "[1, 6]"),
    "a bomb": (
        "energy_png",
        of_bytes(bomb()),
        "Expected `image_bytes` of PNG files of 8x8 pixels; received widths "
        "and heights (0 of no PNG file):] [[50000 50000]]",
    ),
    "a bomb of text": (
        "energy_png",
        of_bytes(GOOD, text_bomb()),
        "Expected `image_bytes` of at most 4608 bytes; received lengths:]",
    ),
    "no picture": ("energy_png", of_bytes(b"GIF89a"), "pixels; received"),
    "an empty file": ("energy_png", of_bytes(b""), "[[0 0]]"),
    "half a picture": ("energy_png", of_bytes(GOOD[: len(GOOD) // 2]), "PNG"),
    "files in a matrix": (
        "energy_png",
        {"image_bytes": np.array([[GOOD]], object)},
        "energy_png_image_bytes",
    ),
}


@pytest.fixture(scope="module")
def refusals(path):
    # A good request after each wrong one: is it still served?
    requests = []
    for name, inputs, _ in HOSTILE.values():
        requests += [(name, inputs), ("energy", {"images": GRAY})]
    return serve(path, requests)


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_requests_are_refused_and_the_next_is_served(refusals, case):
    index = 2 * list(HOSTILE).index(case)
    refusal, reply = refusals[index : index + 2]
    assert refusal["code"] == INVALID_ARGUMENT, refusal
    assert HOSTILE[case][2] in refusal["message"]
    assert reply["energy"].shape == (1,)


def test_seeds_are_any_64_bits_and_latents_of_any_length(path):
    extremes = np.array([2**63 - 1, -(2**63), 0, -1])
    long = np.float32(3e38) * np.eye(4, 64, dtype="float32")
    requests = [
        ("sample", {"seed": extremes}),
        ("sample_conditional", {"seed": extremes, "latents": long}),
        ("sample_conditional", {"seed": extremes, "latents": long / 1e38}),
    ]
    images, of_long, of_short = [r["images"] for r in serve(path, requests)]
    assert np.isfinite(images).all()
    assert min(np.abs(a - b).max() for a, b in zip(images, images[1:])) > 0.1
    np.testing.assert_allclose(of_long, of_short, atol=1e-5)
