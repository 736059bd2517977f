import numpy as np
import pytest

torch = pytest.importorskip(
    "torch", reason="parity with PyTorch needs it: pip install 'clel_tf[torch]'"
)
torch.set_num_threads(1)


def relative_error(actual, expected):
    """|a - b| / |b|, of arrays or tensors of either library."""
    actual, expected = (as_array(x) for x in (actual, expected))
    assert actual.shape == expected.shape
    return np.linalg.norm(actual - expected) / np.linalg.norm(expected)


def as_array(x):
    if isinstance(x, torch.Tensor):
        x = x.detach().numpy()
    return np.asarray(x, "float64")


def channels_first(images):
    """NHWC array to PyTorch's NCHW tensor."""
    return torch.tensor(np.transpose(as_array(images), (0, 3, 1, 2))).float()


def channels_last(tensor):
    return as_array(tensor).transpose(0, 2, 3, 1)


def torch_kernel(kernel):
    """Ours, (height, width, in, out) or (in, out), in PyTorch's order."""
    kernel = as_array(kernel)
    axes = {1: (0,), 2: (1, 0), 4: (3, 2, 0, 1)}[kernel.ndim]
    return kernel.transpose(axes)


def images(count, size=32, seed=0):
    """Coarse patterns under noise: images that batch statistics tell apart."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((count, 4, 4, 3)).repeat(size // 4, axis=1)
    noise = rng.random((count, size, size, 3))
    mixed = 0.7 * coarse.repeat(size // 4, axis=2) + 0.3 * noise
    return mixed.astype("float32")


def clone(network):
    """A trainable copy of one of our networks, with its state."""
    copied = type(network).from_config(network.get_config())
    copied.set_weights(network.get_weights())
    return copied
