"""Mean and standard deviation of well-known training sets.

`STATISTICS[name]` is `(mean, std)`, each a tuple of one float a channel, of
values in [0, 1]. They are what published models normalise by, to four digits;
`ImageData.mean` and `ImageData.std` are those of the images at hand.
"""

_CIFAR10 = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)

STATISTICS = {
    "cifar10": _CIFAR10,
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "celeb_a": ((0.5186, 0.4182, 0.3647), (0.2996, 0.2715, 0.2668)),  # 64x64
    "imagenet32": _CIFAR10,  # as the paper's code has it
    "svhn_cropped": ((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
}
