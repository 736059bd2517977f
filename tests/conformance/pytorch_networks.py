"""The reference's networks in PyTorch, by the names of its state dicts."""

import copy

from comparison import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
SIZES = {
    "small": {"widths": (64, 64, 128, 128), "depth": 1},
    "base": {"widths": (128, 128, 256, 256), "depth": 2},
    "large": {"widths": (256, 256, 256, 256), "depth": 2, "towers": 3},
}


class Normalize(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN))
        self.register_buffer("std", torch.tensor(STD))

    def forward(self, x):
        return (x - self.mean[:, None, None]) / self.std[:, None, None]


# === The energy network ===


def spectral_conv(channels, width, size=3, bias=True):
    layer = nn.Conv2d(channels, width, size, padding=size // 2, bias=bias)
    nn.init.normal_(layer.weight, 0.0, (channels * size**2) ** -0.5)
    if bias:
        nn.init.normal_(layer.bias, 0.0, 0.1)
    return spectral_norm(layer)


def leaky_relu(x):
    return functional.leaky_relu(x, 0.2)


class PreActivationBlock(nn.Module):
    def __init__(self, channels, width):
        super().__init__()
        self.conv1 = spectral_conv(channels, width)
        self.conv2 = spectral_conv(width, width)
        self.shortcut = nn.Identity()
        if channels != width:
            self.shortcut = spectral_conv(channels, width, 1, bias=False)

    def forward(self, x):
        residual = self.conv2(leaky_relu(self.conv1(leaky_relu(x))))
        return self.shortcut(x) + residual


def energy_stages(widths, depth):
    stages, channels = [], widths[0]
    for width in widths:
        stage = [nn.AvgPool2d(2)] if stages else []
        for _ in range(depth):
            stage.append(PreActivationBlock(channels, width))
            channels = width
        stages.append(nn.Sequential(*stage))
    return nn.Sequential(*stages)


def mlp(inputs, hidden, outputs, bias):
    layers = (
        nn.Linear(inputs, hidden, bias),
        nn.LeakyReLU(0.2),
        nn.Linear(hidden, outputs, bias),
    )
    for layer in (layers[0], layers[2]):
        # Energies of about 1; the published 0.01 gives 1e-7.
        nn.init.normal_(layer.weight, 0.0, layer.in_features**-0.5)
    return nn.Sequential(*layers)


class EnergyNetwork(nn.Module):
    def __init__(self, widths, depth, towers=1, hidden=2048, dim=128):
        super().__init__()
        self.numbers = range(1, towers + 1) if towers > 1 else [""]
        for number in self.numbers:
            stem = nn.Sequential(Normalize(), spectral_conv(3, widths[0]))
            setattr(self, f"stem{number}", stem)
            setattr(self, f"stages{number}", energy_stages(widths, depth))
        self.head = mlp(widths[-1] * towers, hidden, dim, bias=True)
        self.projection = mlp(dim, hidden, dim, bias=False)

    def forward(self, x):
        pooled = []
        for tower, number in enumerate(self.numbers):
            out = functional.avg_pool2d(x, 2**tower)
            out = getattr(self, f"stem{number}")(out)
            out = getattr(self, f"stages{number}")(out)
            pooled.append(leaky_relu(out).mean((2, 3)))
        features = self.head(torch.cat(pooled, dim=1))
        return features, self.projection(features)


def initialize_as_published(network):
    """Normal heads of deviation 0.01, biases 0; kernels have it already."""
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif name.startswith(("head", "projection")):
            nn.init.normal_(parameter, 0.0, 0.01)


def energy_of(network):
    return lambda x: network(x)[0].square().sum(1) / 2


# === The encoder ===


def conv(channels, width, size, stride=1):
    return nn.Conv2d(
        channels, width, size, stride, padding=size // 2, bias=False
    )


class ResidualBlock(nn.Module):
    """torchvision's BasicBlock or, of three convolutions, its Bottleneck."""

    def __init__(self, channels, width, stride, bottleneck):
        super().__init__()
        shapes = [(width, 3, stride), (width, 3, 1)]
        if bottleneck:
            shapes = [(width, 1, 1), (width, 3, stride), (4 * width, 1, 1)]
        self.count, self.channels, last = len(shapes), channels, channels
        for index, (filters, size, step) in enumerate(shapes, 1):
            setattr(self, f"conv{index}", conv(last, filters, size, step))
            setattr(self, f"bn{index}", nn.BatchNorm2d(filters))
            last = filters
        self.downsample = nn.Sequential()
        if stride > 1 or channels != last:
            self.downsample = nn.Sequential(
                conv(channels, last, 1, stride), nn.BatchNorm2d(last)
            )
        self.width = last

    def forward(self, x):
        out = x
        for index in range(1, self.count + 1):
            out = out if index == 1 else functional.relu(out)
            out = getattr(self, f"conv{index}")(out)
            out = getattr(self, f"bn{index}")(out)
        return functional.relu(out + self.downsample(x))


class Encoder(nn.Module):
    def __init__(
        self,
        widths=(64, 128, 256, 512),
        depths=(2, 2, 2, 2),
        stem_size=3,
        bottleneck=False,
        hidden=2048,
        dim=128,
    ):
        super().__init__()
        stem = conv(3, widths[0], stem_size, 2 if stem_size == 7 else 1)
        self.conv1 = nn.Sequential(Normalize(), stem)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.stages, channels = len(widths), widths[0]
        for stage, (width, depth) in enumerate(zip(widths, depths), 1):
            blocks = []
            for index in range(depth):
                stride = 2 if stage > 1 and index == 0 else 1
                block = ResidualBlock(channels, width, stride, bottleneck)
                blocks.append(block)
                channels = block.width
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.fc = nn.Sequential(
            nn.Linear(channels, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, dim),
        )
        self.apply(randomize_batch_norm)
        self.apply(quieten_residual)

    def forward(self, x):
        x = functional.relu(self.bn1(self.conv1(x)))
        for stage in range(1, self.stages + 1):
            x = getattr(self, f"layer{stage}")(x)
        return self.fc(x.mean((2, 3)))


def randomize_batch_norm(layer):
    if isinstance(layer, nn.modules.batchnorm._BatchNorm):
        nn.init.uniform_(layer.weight, 0.5, 1.5)
        nn.init.normal_(layer.bias, 0.0, 0.2)
        nn.init.normal_(layer.running_mean, 0.0, 0.2)
        nn.init.uniform_(layer.running_var, 0.5, 1.5)


def quieten_residual(layer):
    # They begin as 0; large ones would multiply rounding from block to block.
    if isinstance(layer, ResidualBlock):
        getattr(layer, f"bn{layer.count}").weight.data.mul_(0.2)


# === The checkpoint ===


class Reference(nn.Module):
    """The four networks and the replay buffer, as a checkpoint holds them."""

    def __init__(self, energy, encoder, memory_shape=(8, 3, 32, 32)):
        super().__init__()
        self.ebm, self.ema_ebm = self.live_and_average(energy)
        self.encoder, self.ema_encoder = self.live_and_average(encoder)
        if memory_shape:
            self.sampler = nn.Module()
            self.sampler.register_buffer("memory", torch.rand(memory_shape))
        self.eval()

    def live_and_average(self, build):
        live, average = build(), build()
        average.load_state_dict(live.state_dict())
        for parameter in average.parameters():
            noise = torch.randn_like(parameter) * parameter.detach().std()
            parameter.data.add_(noise.nan_to_num(), alpha=0.3)
        return live, average.requires_grad_(False)

    def gradients(self):
        """A copy that holds gradients in the place of the live weights."""
        copied = copy.deepcopy(self)
        for kept, parameter in zip(copied.parameters(), self.parameters()):
            if parameter.requires_grad:
                grad = parameter.grad
                kept.data = torch.zeros_like(kept) if grad is None else grad
        return copied

    def save(self, path):
        # Of the optimizers, schedulers and engine the values do not matter.
        optimizer = torch.optim.Adam(self.ebm.parameters())
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
        checkpoint = {
            "model": self.state_dict(),
            "optimizers": [optimizer.state_dict()],
            "schedulers": [schedule.state_dict()],
            "engine": {"iteration": 2000, "fid": (13.7, float("inf"))},
        }
        torch.save(checkpoint, path)
        return path


def tiny_energy_network(dim=8):
    return EnergyNetwork((4, 6), 1, hidden=16, dim=dim)


def tiny_encoder(dim=8):
    return Encoder((4, 6), (1, 2), hidden=16, dim=dim)


def tiny_reference(**options):
    return Reference(tiny_energy_network, tiny_encoder, **options)
