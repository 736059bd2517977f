"""The augmentation of SimCLR, one random view of each image."""

import keras

from clel_tf import random
from clel_tf.layers.random_color_jitter import RandomColorJitter
from clel_tf.layers.random_grayscale import RandomGrayscale
from clel_tf.layers.random_horizontal_flip import RandomHorizontalFlip
from clel_tf.layers.random_image_layer import RandomImageLayer
from clel_tf.layers.random_resized_crop import RandomResizedCrop


@keras.saving.register_keras_serializable(package="clel_tf")
class SimCLRAugmentation(RandomImageLayer):
    """Crops, jitters the colours of, turns gray and flips images at random.

    The four stages take keys of their own, folded from the call's with 0 to 3.
    A stage that cannot change an image, by a probability or strength of 0 or a
    crop with `crop_scale` and `crop_ratio` (1, 1), is left out, which changes
    no other stage's draws.

    Args:
        crop_scale: pair, `scale` of `RandomResizedCrop`.
            Defaults to `(0.08, 1)`.
        crop_ratio: pair, `ratio` of the crop. Defaults to `(3/4, 4/3)`.
        integer_boxes: bool, of the crop. Defaults to `True`; `False` suits
            images of a few pixels.
        brightness: float, of `RandomColorJitter`. Defaults to 0.4.
        contrast: float, of the jitter. Defaults to 0.4.
        saturation: float, of the jitter. Defaults to 0.4.
        hue: float, of the jitter. Defaults to 0.1.
        jitter_probability: float, of the jitter. Defaults to 0.8.
        grayscale_probability: float, of `RandomGrayscale`. Defaults to 0.2.
        flip_probability: float, of `RandomHorizontalFlip`. Defaults to 0.5.
        clip: bool, of the crop: whether its bicubic overshoots are clipped to
            [0, 1]. Defaults to `False`.
        flavour: `"reference"` or `"torchvision"`, of the crop and the jitter,
            which say what differs. Defaults to `"reference"`.
        seed: see `RandomImageLayer`, as are the call arguments.

    Raises:
        ValueError: if an argument is outside its range, or the flavour unknown.

    Example:

    >>> import keras
    >>> from clel_tf import random
    >>> from clel_tf.layers.simclr_augmentation import SimCLRAugmentation
    >>> images, key = keras.random.uniform((4, 8, 8, 3)), random.as_key(0)
    >>> augment = SimCLRAugmentation(crop_scale=(0.6, 1.0))
    >>> first = augment(images, seed=random.fold_in(key, 0))
    >>> second = augment(images, seed=random.fold_in(key, 1))
    >>> first.shape, bool(keras.ops.all(first == second))
    (TensorShape([4, 8, 8, 3]), False)

    Reference:
        [Chen et al.: A Simple Framework for Contrastive Learning of Visual
        Representations, ICML 2020](https://arxiv.org/abs/2002.05709)
    """

    def __init__(
        self,
        crop_scale=(0.08, 1.0),
        crop_ratio=(3 / 4, 4 / 3),
        integer_boxes=True,
        brightness=0.4,
        contrast=0.4,
        saturation=0.4,
        hue=0.1,
        jitter_probability=0.8,
        grayscale_probability=0.2,
        flip_probability=0.5,
        clip=False,
        flavour="reference",
        seed=None,
        **kwargs,
    ):
        super().__init__(seed=seed, **kwargs)
        self.crop = RandomResizedCrop(
            crop_scale,
            crop_ratio,
            integer_boxes=integer_boxes,
            clip=clip,
            flavour=flavour,
        )
        self.jitter = RandomColorJitter(
            brightness, contrast, saturation, hue, jitter_probability, flavour
        )
        self.grayscale = RandomGrayscale(grayscale_probability)
        self.flip = RandomHorizontalFlip(flip_probability)

    def augment(self, images, key):
        stages = (self.crop, self.jitter, self.grayscale, self.flip)
        for index, stage in enumerate(stages):
            if stage.changes_images:
                images = stage(images, seed=random.fold_in(key, index))
        return images

    def get_config(self):
        return {
            **super().get_config(),
            "crop_scale": self.crop.scale,
            "crop_ratio": self.crop.ratio,
            "integer_boxes": self.crop.integer_boxes,
            "brightness": self.jitter.brightness,
            "contrast": self.jitter.contrast,
            "saturation": self.jitter.saturation,
            "hue": self.jitter.hue,
            "jitter_probability": self.jitter.probability,
            "grayscale_probability": self.grayscale.probability,
            "flip_probability": self.flip.probability,
            "clip": self.crop.clip,
            "flavour": self.crop.flavour,
        }
