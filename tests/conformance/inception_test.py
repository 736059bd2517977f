import hashlib

import numpy as np
import pytest
from original_inception import OriginalGraph

from clel_tf.metrics import extractors

NEEDS_TORCH = "parity with PyTorch needs it: pip install 'clel_tf[torch]'"
TOLERANCE = 1e-4
HEIGHT, WIDTH = 40, 350  # one to enlarge, and one to shrink


def random_bytes(height=HEIGHT, width=WIDTH):
    """Coarse patterns under noise, so that the images differ in features."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 200, (2, 5, 5, 3))
    rows, columns = (
        np.arange(height) * 5 // height,
        np.arange(width) * 5 // width,
    )
    noise = rng.integers(0, 56, (2, height, width, 3))
    return (coarse[:, rows][:, :, columns] + noise).astype(np.uint8)


def relative_error(actual, expected):
    assert actual.shape == expected.shape
    return np.linalg.norm(actual - expected) / np.linalg.norm(expected)


def assert_agree(found, features, logits):
    assert relative_error(found.features, features) < TOLERANCE
    assert relative_error(found.logits, logits) < TOLERANCE
    # What images differ in, too: features are alive.
    assert relative_error(features[0], features[1]) > 0.01
    ours, theirs = (x[0] - x[1] for x in (found.features, features))
    assert relative_error(ours, theirs) < 10 * TOLERANCE


# === The original's graph ===


@pytest.fixture(scope="module")
def original():
    return OriginalGraph()


@pytest.fixture(scope="module")
def frozen_graph(original, tmp_path_factory):
    path = tmp_path_factory.mktemp("original") / "classify_image_graph_def.pb"
    path.write_bytes(original.definition.SerializeToString())
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def extractor(frozen_graph):
    return extractors.Inception(frozen_graph, allow_unknown=True)


@pytest.mark.slow
def test_agrees_with_the_original_graph_in_tensorflow(original, extractor):
    images = random_bytes()
    assert_agree(extractor(images), *original.run(images))


def test_identity_tells_the_file(extractor, frozen_graph):
    identity = extractor.identity()
    sha256 = hashlib.sha256(frozen_graph.read_bytes()).hexdigest()
    assert (identity["name"], identity["sha256"]) == ("inception", sha256)


def test_floats_are_their_bytes_and_gray_is_three_equal_channels(extractor):
    gray = random_bytes(32, 32)[..., :1]
    expected = extractor(gray.repeat(3, axis=-1))
    for images in (gray, (gray + 0.5) / 256):
        found = extractor(images)
        np.testing.assert_array_equal(found.features, expected.features)
        np.testing.assert_array_equal(found.logits, expected.logits)


def test_two_channels_are_refused(extractor):
    with pytest.raises(ValueError, match=r"1 or 3 channels.*\(2, 32, 32, 2\)"):
        extractor(random_bytes(32, 32)[..., :2])


# === PyTorch ===


def pytorch_port(torch, fidelity):
    """torch-fidelity's network, with random weights."""
    module = fidelity("feature_extractor_inceptionv3")
    with pytest.MonkeyPatch.context() as patch:
        network = module.FeatureExtractorInceptionV3
        # Its constructor would download weights.
        patch.setattr(network, "load_state_dict", lambda *arguments: None)
        patch.setattr(
            module, "load_state_dict_from_url", lambda url, **options: None
        )
        torch.manual_seed(0)
        port = network("inception", ["2048", "logits_unbiased"])
    for layer in port.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        elif isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
            torch.nn.init.normal_(layer.bias, std=0.2)
            torch.nn.init.normal_(layer.running_mean, std=0.2)
            torch.nn.init.uniform_(layer.running_var, 0.5, 1.5)
    return port


def test_agrees_with_the_port_to_pytorch(fidelity, tmp_path):
    torch = pytest.importorskip("torch", reason=NEEDS_TORCH)
    torch.set_num_threads(1)
    port = pytorch_port(torch, fidelity)
    path = tmp_path / "inception.pth"
    torch.save(port.state_dict(), path)
    extractor = extractors.Inception(path, allow_unknown=True)
    path.unlink()
    images = random_bytes()
    channels_first = torch.tensor(images.transpose(0, 3, 1, 2))
    features, logits = (x.numpy() for x in port(channels_first))
    assert_agree(extractor(images), features, logits)


@pytest.mark.parametrize("content", [b"PK\x03\x04", b"\x80\x02}q\x00."])
def test_other_files_of_pytorchs_kind_are_refused(tmp_path, content):
    pytest.importorskip("torch", reason=NEEDS_TORCH)
    path = tmp_path / "other.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="state dict of PyTorch.*other.pth"):
        extractors.Inception(path, allow_unknown=True)
