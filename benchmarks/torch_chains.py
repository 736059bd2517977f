"""PyTorch's side of the benchmark: the same chains, and convolutions.

The network is the reference's, of tests/conformance, with the weights of ours.
"eager" is the reference's way: images NCHW and spectral normalisation iterated
and divided by at every forward pass. The other modes are those of a careful
user: kernels divided (and for bfloat16 cast) once, weights without gradients,
images channels_last.
Importing it needs no PyTorch; calling it does.
"""

import importlib.util
import os
import shutil

INSTALLED = importlib.util.find_spec("torch") is not None
MODES = (
    ("eager", "float32"),
    ("channels_last", "float32"),
    ("channels_last", "bfloat16"),
    ("compile", "float32"),
    ("compile", "bfloat16"),
)

if INSTALLED:
    import torch
    import torch_network
    from torch.nn import functional


def use_all_threads():
    """Gives PyTorch as many as TensorFlow takes, hyperthreads included."""
    if INSTALLED:
        threads = os.environ.get("TF_NUM_INTRAOP_THREADS") or os.cpu_count()
        torch.set_num_threads(int(threads))


def modes(skipped, with_compile=True):
    """Those of `MODES` that can be run; the others' reasons go to `skipped`.

    Args:
        skipped: dict from what is skipped to the reason.
        with_compile: bool. Whether `torch.compile` is wanted.

    Returns:
        tuple of `(mode, dtype)`.
    """
    reasons = {mode: _missing(mode) for mode, _ in MODES}
    if not with_compile:
        reasons["compile"] = reasons["compile"] or "left to a larger scale"
    for mode, reason in reasons.items():
        if reason:
            skipped[f"torch {mode}"] = reason
    return tuple(pair for pair in MODES if not reasons[pair[0]])


def _missing(mode):
    if not INSTALLED:
        return "PyTorch is not installed: pip install 'clel_tf[bench]'"
    compiler = os.environ.get("CXX", "g++")
    if mode == "compile" and not shutil.which(compiler):
        return f"no C++ compiler ({compiler}), which torch.compile needs"
    return None


def chain(network, mode, dtype, images, steps, sampler, device="cpu"):
    """Builds a chain of PyTorch's.

    Args:
        network: `EnergyResNet` of one tower, whose weights it takes.
        mode: str, of `MODES`.
        dtype: str. "float32", or "bfloat16" for autocast.
        images: float32 array `(n, height, width, channels)`, the start.
        steps: int. Steps a call.
        sampler: `SGLD`, for its step size and its noise.
        device: str.

    Returns:
        Tuple of two functions without arguments: one that runs the chain from
        the images and one that gives their energies, an array `(n,)`, and its
        gradients, one of the images' shape.
    """
    theirs, layout = torch_network.copy(network), torch.contiguous_format
    if mode != "eager":
        torch_network.fold(theirs)
        layout = torch.channels_last
    theirs = theirs.to(device, memory_format=layout)
    if dtype == "bfloat16":
        torch_network.cast(theirs)  # once, not by autocast in every step
    energy = _energy(theirs, dtype, device)
    if mode == "compile":
        energy = torch.compile(energy, dynamic=False)
    start = torch.tensor(images.transpose(0, 3, 1, 2))
    start = start.to(device, memory_format=layout)

    def run():
        x = start
        for _ in range(steps):
            x = _step(energy, x, sampler)
        return x.cpu()

    def energies_and_gradients():
        x = start.detach().requires_grad_()
        found = energy(x)
        (gradients,) = torch.autograd.grad(found.sum(), x)
        gradients = gradients.permute(0, 2, 3, 1)
        return found.detach().cpu().numpy(), gradients.cpu().numpy()

    return run, energies_and_gradients


def _step(energy, x, sampler):
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(energy(x).sum(), x)
    with torch.no_grad():
        noise = sampler.noise_scale * torch.randn_like(x)
        return (x - sampler.step_size * gradient + noise).clamp_(0, 1)


def _energy(network, dtype, device):
    autocast = dtype == "bfloat16"

    def energy(x):
        with torch.autocast(device, torch.bfloat16, enabled=autocast):
            features = network(x)[0]
        return features.float().square().sum(1) / 2

    return energy


# === Convolutions ===


def convolutions(shape, batch, dtype, repeats):
    """A convolution's two directions by name, `repeats` a call, on a CPU."""
    height, width, size, channels, filters = shape

    def images(count):
        return _random((batch, count, height, width), dtype)

    x, y = images(channels), images(filters)
    kernel = _random((filters, channels, size, size), dtype)
    padding = size // 2

    def forward():
        with torch.no_grad():
            for _ in range(repeats):
                functional.conv2d(x, kernel, padding=padding)

    def backward():
        for _ in range(repeats):
            torch.ops.aten.convolution_backward(
                *(y, x, kernel, None, [1, 1], [padding, padding], [1, 1]),
                *(False, [0, 0], 1, [True, False, False]),
            )

    return {"forward": forward, "backward": backward}


def _random(shape, dtype):
    values = torch.randn(shape).to(getattr(torch, dtype))
    return values.contiguous(memory_format=torch.channels_last)
