import json

import keras
import numpy as np
import pytest

from clel_tf import random
from clel_tf.layers.random_color_jitter import RandomColorJitter
from clel_tf.layers.random_grayscale import RandomGrayscale
from clel_tf.layers.random_horizontal_flip import RandomHorizontalFlip
from clel_tf.layers.random_image_layer import FLAVOURS
from clel_tf.layers.random_resized_crop import RandomResizedCrop
from clel_tf.layers.simclr_augmentation import SimCLRAugmentation

_KEY = random.as_key(1)
_OFF = {
    "crop_scale": (1.0, 1.0),
    "crop_ratio": (1.0, 1.0),
    "jitter_probability": 0.0,
    "grayscale_probability": 0.0,
    "flip_probability": 0.0,
}


def _images(channels=3):
    shape = (32, 8, 8, channels)
    return np.random.default_rng(0).random(shape, np.float32)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_is_its_four_stages_with_keys_folded_from_its_own(flavour):
    expected = _images()
    stages = [RandomResizedCrop(flavour=flavour)]
    stages.append(RandomColorJitter(flavour=flavour))
    stages += [RandomGrayscale(), RandomHorizontalFlip()]
    for index, stage in enumerate(stages):
        expected = stage(expected, seed=random.fold_in(_KEY, index))
    result = SimCLRAugmentation(flavour=flavour)(_images(), seed=_KEY)
    np.testing.assert_array_equal(result, expected)


def test_stages_that_change_nothing_are_left_out():
    layer = SimCLRAugmentation(**_OFF)
    for stage in (layer.crop, layer.jitter, layer.grayscale, layer.flip):
        stage.augment = None  # would raise if it were called
    np.testing.assert_array_equal(layer(_images(), seed=_KEY), _images())


def test_leaving_a_stage_out_keeps_the_draws_of_the_others():
    alone = SimCLRAugmentation(**{**_OFF, "flip_probability": 0.5})
    flip = RandomHorizontalFlip(probability=0.5)
    np.testing.assert_array_equal(
        alone(_images(), seed=_KEY),
        flip(_images(), seed=random.fold_in(_KEY, 3)),
    )


def test_light_augmentation_of_digits_only_crops_and_scales_values():
    arguments = {**_OFF, "brightness": 0.0, "crop_scale": (0.6, 1.0)}
    layer = SimCLRAugmentation(
        **{**arguments, "jitter_probability": 1.0, "integer_boxes": False}
    )
    images = np.full((256, 8, 8, 1), 0.5, np.float32)
    result = layer(images, seed=_KEY).numpy()
    factor = result[:, :1, :1] / 0.5
    np.testing.assert_allclose(result, images * factor, atol=1e-5)
    assert 0.599 < factor.min() < 0.62 and 1.38 < factor.max() < 1.401


@pytest.mark.parametrize("clip", (False, True))
def test_clip_bounds_the_overshoots_of_the_crop(clip):
    layer = SimCLRAugmentation(clip=clip, jitter_probability=0.0)
    result = layer(np.round(_images()), seed=_KEY).numpy()
    inside = result.min() >= 0 and result.max() <= 1
    assert inside == clip


def test_config_round_trip_through_json():
    crop, jitter = ((0.5, 0.9), (0.8, 1.1), False), (0.1, 0.2, 0.3, 0.05, 0.6)
    layer = SimCLRAugmentation(*crop, *jitter, 0.7, 0.4, True, "torchvision")
    text = json.dumps(keras.saving.serialize_keras_object(layer))
    twin = keras.saving.deserialize_keras_object(json.loads(text))
    assert twin.get_config() == layer.get_config()
    assert twin.get_config() != SimCLRAugmentation().get_config()
    np.testing.assert_array_equal(
        twin(_images(), seed=_KEY), layer(_images(), seed=_KEY)
    )


@pytest.mark.parametrize(
    "kwargs",
    (
        {"crop_scale": (0, 1)},
        {"flip_probability": 2},
        {"hue": 0.7},
        {"flavour": "other"},
    ),
)
def test_wrong_arguments_are_refused(kwargs):
    with pytest.raises(ValueError, match="Expected .*; received: "):
        SimCLRAugmentation(**kwargs)
