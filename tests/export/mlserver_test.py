import concurrent.futures
import time

import numpy as np
import pytest
from mlserver_process import PROGRAM
from mlserver_process import MLServer

from clel_tf import random
from clel_tf.export import export_sampler

pytestmark = pytest.mark.skipif(
    not PROGRAM.exists(), reason="no .venv-serving; make test-serving makes it"
)
STEPS = 4


@pytest.fixture(scope="module")
def server(path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mlserver")
    signatures = ["sample", "sample_conditional", "energy", "refine"]
    with MLServer(folder, path, signatures) as server:
        yield server


def together(function, *rows):
    with concurrent.futures.ThreadPoolExecutor(len(rows[0])) as pool:
        return list(pool.map(function, *rows))


def test_concurrent_requests_run_together_and_stay_what_they_are(server, model):
    seeds = random.row_seeds(4, 6)
    alone = [server.infer("sample", seed=seeds[i : i + 1]) for i in range(6)]
    assert all(reply["batch_rows"] == 1 for reply in alone)
    batched = together(lambda s: server.infer("sample", seed=s[None]), seeds)
    assert max(reply["batch_rows"].item() for reply in batched) > 1
    expected = model.sample(6, seed=4, num_steps=STEPS)
    for row, replies in enumerate(zip(alone, batched)):
        for reply in replies:
            image = reply["images"][0]
            np.testing.assert_allclose(image, expected[row], atol=1e-5)


def test_conditions_stay_with_their_rows(server, model):
    latents = np.random.default_rng(0).normal(size=(4, 64)).astype("float32")
    seeds = random.row_seeds(0, 4)

    def ask(seed, latent):
        reply = server.infer(
            "sample_conditional", seed=seed[None], latents=latent[None]
        )
        return reply["images"][0]

    expected = model.sample(4, latents=latents, num_steps=STEPS)
    np.testing.assert_allclose(
        together(ask, seeds, latents), expected, atol=1e-5
    )


def test_what_is_refused_takes_nothing_down(server, model, images):
    one = np.ones([1], np.int64)
    wrong = [
        ("energy", {"images": images * np.float32(np.nan)}),
        ("energy", {"images": images[:, :4]}),
        ("sample", {"seed": one[:0]}),
        (
            "refine",
            {"seed": one, "images": images[:1], "num_steps": 2**60 * one},
        ),
    ]
    for name, inputs in wrong:
        with pytest.raises(ValueError):
            server.infer(name, timeout=20, **inputs)
        energies = server.infer("energy", images=images)["energy"][:, 0]
        expected = model.predict(images, verbose=0)
        np.testing.assert_allclose(energies, expected, atol=1e-5)


def test_a_second_version_is_taken_up_while_requests_run(
    server, model, tmp_path
):
    seeds = random.row_seeds(0, 2)
    second = export_sampler(model, tmp_path / "tiny", num_steps=1)
    first = server.infer("sample", seed=seeds)["images"]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        stop = time.monotonic() + 30

        def ask_until_it_changes():
            last = first
            while np.abs(last - first).max() < 1e-3 and time.monotonic() < stop:
                last = server.infer("sample", seed=seeds)["images"]
            return last

        asked = pool.submit(ask_until_it_changes)
        server.reload("sample", second)
        last = asked.result()
    for version, steps in ((first, STEPS), (last, 1)):
        expected = model.sample(2, num_steps=steps)
        np.testing.assert_allclose(version, expected, atol=1e-5)
