import contextlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import time

import grpc
import numpy as np
import pytest
import requests
from loopback_server import LoopbackServer

from clel_tf.data.dequantize import to_bytes
from clel_tf.export import SamplerClient
from clel_tf.export import png
from clel_tf.samplers import energies

ROOT = pathlib.Path(__file__).parents[2]
STEPS = 4
SERVER = os.environ.get("TF_MODEL_SERVER") or shutil.which(
    "tensorflow_model_server"
)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def model_server(path):
    """TensorFlow's own server of an export; gives its two ports."""
    ports = free_port(), free_port()
    process = subprocess.Popen(
        [
            SERVER,
            f"--port={ports[0]}",
            f"--rest_api_port={ports[1]}",
            f"--model_config_file={path}/models.config",
            "--enable_batching",
            "--enable_per_model_batching_parameters",
        ]
    )
    try:
        status = f"http://127.0.0.1:{ports[1]}/v1/models/tiny"
        for _ in range(300):
            with contextlib.suppress(requests.ConnectionError):
                if "AVAILABLE" in requests.get(status).text:
                    break
            time.sleep(0.2)
        yield ports
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def loopback(signatures):
    with LoopbackServer("tiny", signatures) as server:
        yield server


@pytest.fixture(scope="module", params=["loopback", "tensorflow_model_server"])
def ports(request, path, signatures):
    if request.param == "loopback":
        with LoopbackServer("tiny", signatures) as server:
            yield server.grpc_port, server.rest_port
    elif SERVER is None:
        pytest.skip("no tensorflow_model_server on PATH or in TF_MODEL_SERVER")
    else:
        with model_server(path) as ports:
            yield ports


@pytest.fixture(scope="module", params=["grpc", "rest"])
def client(request, ports):
    with SamplerClient(
        address(request.param, *ports), "tiny", max_rows=3
    ) as client:
        yield client


@pytest.fixture(params=["grpc", "rest"])
def connect(request, loopback):
    """A function of a client's options, its server the loopback one."""
    target = address(request.param, loopback.grpc_port, loopback.rest_port)
    with contextlib.ExitStack() as stack:

        def connected(model="tiny", **options):
            return stack.enter_context(SamplerClient(target, model, **options))

        yield connected


def address(protocol, grpc_port, rest_port):
    if protocol == "grpc":
        return f"127.0.0.1:{grpc_port}"
    return f"http://127.0.0.1:{rest_port}"


def same(served, expected):
    np.testing.assert_allclose(served, expected, atol=1e-5)


def test_samples_are_the_models_in_requests_of_a_few_rows(client, model):
    images = client.sample(8, seed=5)
    assert images.dtype == np.float32
    same(images, model.sample(8, seed=5, num_steps=STEPS))


@pytest.mark.slow
def test_samples_of_conditions_are_the_models(
    client, model, images, class_latents
):
    own = model.latents(images)
    given = {"num_steps": STEPS, "seed": 1}
    same(
        client.sample(5, seed=1, latents=own),
        model.sample(5, latents=own, **given),
    )
    same(
        client.sample(2, seed=1, latents=own[0]),
        model.sample(2, latents=own[0], **given),
    )
    same(
        client.sample(2, seed=1, class_id=[2, 0]),
        model.sample(2, latents=class_latents[[2, 0]], **given),
    )
    same(
        client.sample(5, seed=1, like=images),
        model.sample(5, latents=own, **given),
    )
    mask = np.zeros((8, 8, 1))
    mask[2:5] = 1
    same(
        client.sample(5, seed=1, inpaint=images, mask=mask),
        model.sample(5, energy=energies.Inpaint(images, mask), **given),
    )
    composed = model.guidance(class_latents[0])
    composed += ~model.guidance(class_latents[2])
    same(
        client.sample(2, seed=1, weights=[1, 0, -1]),
        model.sample(2, energy=composed, **given),
    )
    same(
        client.sample(5, seed=1, initial=images, num_steps=2),
        model.sample(5, initial=images, num_steps=2, seed=1),
    )


def test_energies_latents_and_scores_are_the_models(client, model, images):
    same(client.energy(images), model.predict(images, verbose=0))
    same(client.latents(images), model.latents(images))
    same(client.ood_score(images), model.score(images))
    outputs = client.predict("ood_score", images=images)
    assert set(outputs) == {"score", "threshold", "is_ood"}
    assert outputs["is_ood"].dtype == bool


def test_files_travel_as_bytes(client, model, images):
    files = png.encode(images).numpy()
    energies = client.predict("energy_png", image_bytes=files)["energy"]
    of_bytes = (to_bytes(images) + np.float32(0.5)) / np.float32(256)
    same(energies, model.predict(of_bytes, verbose=0))
    drawn = client.predict("sample_png", seed=np.arange(2))["image_bytes"]
    assert all(x.startswith(b"\x89PNG") for x in drawn)


@pytest.mark.parametrize("document", ["docs/serving.md", "README.md"])
def test_the_documents_requests_run(loopback, path, document):
    folder = ROOT if document.startswith("docs") else path
    (block,) = re.findall(
        r"```python\n(.*?)```", (folder / document).read_text(), re.DOTALL
    )
    target = address("grpc", loopback.grpc_port, None)
    block = block.replace("localhost:8500", target).replace("digits", "tiny")
    names = {}
    exec(compile(block, document, "exec"), names)
    assert names["images"].shape == (100, 8, 8, 1)


def test_a_refusal_has_the_servers_words(client):
    with pytest.raises(ValueError, match=r"Expected `class_id` in \[0, 2\]"):
        client.sample(1, class_id=3)


def test_requests_have_at_most_so_many_rows(connect, loopback):
    assert connect(max_rows=3).sample(7).shape == (7, 8, 8, 1)
    assert loopback.requests == ["sample"] * 3


@pytest.mark.parametrize(
    "ask, error, words",
    [
        (lambda c: c.sample(0), ValueError, "`n` to be an int from 1"),
        (lambda c: c.sample(2.5), ValueError, "`n` to be an int from 1"),
        (lambda c: c.sample(1, seed=2**70), ValueError, "`seed` to be an int"),
        (lambda c: c.sample(1, seed=1.5), ValueError, "`seed` to be an int"),
        (lambda c: c.sample(2, num_steps=3), ValueError, "`initial`"),
        (
            lambda c: c.sample(2, latents=np.ones(64), class_id=1),
            ValueError,
            "received 2 of them",
        ),
        (lambda c: c.sample(2, class_id=[1, 2, 3]), ValueError, "`class_id`"),
        (lambda c: c.sample(1, mask=[[[1]]]), ValueError, "`mask` together"),
        (lambda c: c.sample(2, class_id=1.5), ValueError, "64-bit ints"),
        (lambda c: c.predict("sample", seed=[2**63]), ValueError, "64-bit"),
        (lambda c: c.predict("sample", seed=[2**64]), ValueError, "64-bit"),
        (
            lambda c: c.sample(3, like=np.zeros([2, 8, 8, 1])),
            ValueError,
            "as many rows; received rows: {'seed': 3, 'images': 2}",
        ),
        (lambda c: c.energy(np.zeros([0, 8, 8, 1])), ValueError, "one row"),
        (lambda c: c.energy(np.float32(1)), ValueError, "one row"),
        (lambda c: c.energy(np.full([1, 8, 8, 1], 2.0)), ValueError, "2."),
        (lambda c: c.energy(np.full([1, 8, 8, 1], np.nan)), ValueError, "nan"),
        (
            lambda c: c.energy(np.zeros([1, 8, 8, 1], np.uint8)),
            TypeError,
            "received: uint8",
        ),
        (
            lambda c: c.sample(1, latents=np.full(64, np.inf)),
            ValueError,
            "`latents` finite",
        ),
        (
            lambda c: c.predict("x", seed=[1], latents=[[1e39]]),
            ValueError,
            "`latents` finite",
        ),
        (
            lambda c: c.sample(1, latents=np.zeros(64)),
            ValueError,
            "without zero vectors",
        ),
        (
            lambda c: c.sample(3, latents=np.ones([2, 64])),
            ValueError,
            "each of 3 rows",
        ),
    ],
)
def test_wrong_requests_are_not_even_sent(connect, loopback, ask, error, words):
    with pytest.raises(error, match=words):
        ask(connect())
    assert not loopback.requests


def test_what_is_not_there(connect):
    with pytest.raises(LookupError, match="model giant"):
        connect("giant").sample(1)
    with pytest.raises(LookupError, match="Servable not found"):
        connect("tiny/versions/1").sample(1)
    with pytest.raises(LookupError, match="Servable not found"):
        connect(version=7).sample(1)
    with pytest.raises(LookupError, match="draw"):
        connect().predict("draw", seed=[1])
    assert connect(version=1).sample(1).shape == (1, 8, 8, 1)


def test_a_server_that_is_busy_is_asked_again(connect, loopback):
    loopback.failures = 2
    assert connect(retries=3).sample(1).shape == (1, 8, 8, 1)
    assert len(loopback.requests) == 3
    loopback.failures = 2
    with pytest.raises(ConnectionError, match="the queue is full"):
        connect(retries=1).sample(1)
    loopback.failures = 1
    with pytest.raises(ConnectionError, match="the queue is full"):
        connect(retries=0).sample(1)


def test_no_answer_in_time(connect, loopback):
    client = connect(timeout=0.3)
    client.sample(1)
    loopback.seconds = 1.0
    with pytest.raises(TimeoutError, match=r"no answer within 0.3 s, or the"):
        client.sample(1)


def test_repetitions_end_in_time_too(connect, loopback):
    client = connect(timeout=0.7, retries=100)
    loopback.seconds, loopback.failures = 0.25, 100
    with pytest.raises((TimeoutError, ConnectionError)):
        client.sample(1)
    # Each takes a quarter of a second, and time is up in three of these.
    assert len(loopback.requests) <= 3


def test_large_requests_are_sent_again_too(connect, loopback, images):
    # Beyond what gRPC's own retries keep of a request, 256 KiB.
    many = np.resize(images, [1100, 8, 8, 1])
    loopback.failures = 1
    assert connect(max_rows=1100).energy(many).shape == (1100,)
    assert len(loopback.requests) == 2


def test_another_versions_outputs_are_taken_as_they_come(
    connect, loopback, images
):
    client, signatures = connect(), loopback.signatures
    first = client.predict("ood_score", images=images)
    assert set(first) == {"score", "threshold", "is_ood"}
    loopback.signatures = {
        **signatures,
        "ood_score": signatures["energy"],
        "draw": signatures["sample"],
    }
    second = client.predict("ood_score", images=images)
    assert set(second) == {"energy"}
    assert client.predict("draw", seed=[1])["images"].shape[0] == 1
    loopback.signatures = signatures
    third = client.predict("ood_score", images=images)
    assert set(third) == set(first)


def test_what_answers_is_no_model_server(loopback):
    target = address("rest", None, loopback.rest_port)
    loopback.html = True
    with SamplerClient(target, "tiny") as client:
        with pytest.raises(RuntimeError, match="200: <html>"):
            client.sample(1)


@pytest.mark.parametrize("scheme", ["", "http://"])
def test_no_server(scheme):
    target = f"{scheme}127.0.0.1:{free_port()}"
    with SamplerClient(target, "tiny", retries=1) as client:
        with pytest.raises(ConnectionError, match="model tiny"):
            client.sample(1)


def test_a_message_may_be_limited(loopback):
    target = address("grpc", loopback.grpc_port, None)
    with SamplerClient(target, "tiny", max_message_bytes=600) as client:
        assert client.sample(1).shape == (1, 8, 8, 1)
        with pytest.raises(RuntimeError, match="RESOURCE_EXHAUSTED"):
            client.sample(3)


def test_credentials_are_for_servers_with_tls(loopback):
    target = address("grpc", loopback.grpc_port, None)
    credentials = grpc.ssl_channel_credentials()
    with SamplerClient(
        target, "tiny", credentials=credentials, retries=0, timeout=5
    ) as client:
        with pytest.raises((ConnectionError, TimeoutError)):
            client.sample(1)  # this one has none


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0},
        {"timeout": float("inf")},
        {"timeout": None},
        {"max_rows": 0},
        {"retries": -1},
        {"version": "1"},
    ],
)
def test_wrong_options_are_refused(options):
    with pytest.raises(ValueError, match=f"`{next(iter(options))}`"):
        SamplerClient("127.0.0.1:8500", "tiny", **options)


def test_credentials_of_grpc_are_refused_for_rest():
    with pytest.raises(ValueError, match="`credentials` for gRPC"):
        SamplerClient(
            "http://127.0.0.1:8501",
            "tiny",
            credentials=grpc.ssl_channel_credentials(),
        )
