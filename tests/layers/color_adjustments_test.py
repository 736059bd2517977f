import colorsys

import numpy as np
import pytest

from clel_tf.layers.color_adjustments import adjust_brightness
from clel_tf.layers.color_adjustments import adjust_contrast
from clel_tf.layers.color_adjustments import adjust_hue
from clel_tf.layers.color_adjustments import adjust_saturation

_CORNERS = np.stack(np.meshgrid(*[[0, 0.5, 1]] * 3), -1).reshape(27, 3)
_PIXELS = np.concatenate([_CORNERS, np.random.default_rng(0).random((200, 3))])


def _image():
    return _PIXELS.astype(np.float32).reshape(1, 1, -1, 3)


def _by_colorsys(change):
    rows = [colorsys.rgb_to_hsv(*pixel) for pixel in _PIXELS]
    return np.array([colorsys.hsv_to_rgb(*change(*row)) for row in rows])


@pytest.mark.parametrize("factor", (0.0, 0.6, 1.0, 1.4, 50.0))
def test_saturation_matches_colorsys(factor):
    expected = _by_colorsys(lambda h, s, v: (h, min(s * factor, 1.0), v))
    result = adjust_saturation(_image(), np.float32([factor]))
    np.testing.assert_allclose(result[0, 0], expected, atol=1e-6)


@pytest.mark.parametrize("shift", (-0.5, -0.1, 0.0, 0.037, 0.25, 1.0))
def test_hue_matches_colorsys(shift):
    expected = _by_colorsys(lambda h, s, v: ((h + shift) % 1.0, s, v))
    result = adjust_hue(_image(), np.float32([shift]))
    np.testing.assert_allclose(result[0, 0], expected, atol=3e-6)


def test_hue_of_a_third_of_a_turn_permutes_the_channels():
    result = adjust_hue(_image(), np.float32([1 / 3]))
    np.testing.assert_allclose(result, _image()[..., [2, 0, 1]], atol=3e-6)


def test_brightness_and_contrast_clip():
    images = np.float32([0.2, 0.5, 0.9]).reshape(1, 1, 3, 1)
    brighter = adjust_brightness(images, np.float32([0.3]))
    darker = adjust_brightness(images, np.float32([-0.3]))
    steeper = adjust_contrast(images, np.float32([1.4]))
    np.testing.assert_allclose(np.ravel(brighter), [0.5, 0.8, 1.0], atol=1e-7)
    np.testing.assert_allclose(np.ravel(darker), [0.0, 0.2, 0.6], atol=1e-7)
    np.testing.assert_allclose(np.ravel(steeper), [0.28, 0.7, 1], atol=1e-7)


def test_each_image_has_its_own_factor():
    images = np.full((2, 1, 1, 3), 0.5, np.float32)
    result = adjust_contrast(images, np.float32([0.5, 1.5]))
    np.testing.assert_allclose(np.ravel(result), [0.25] * 3 + [0.75] * 3)


def test_overshoots_of_a_crop_stay_finite_and_near_the_range():
    rng = np.random.default_rng(0)
    images = rng.uniform(-0.1, 1.1, (1, 1, 500, 3)).astype(np.float32)
    images[0, 0, :50] *= 0.0
    images[0, 0, 50:100] -= 1.2
    for adjust, factor in ((adjust_saturation, 1.4), (adjust_hue, 0.1)):
        result = adjust(images, np.float32([factor])).numpy()
        np.testing.assert_allclose(result.max(-1), images.max(-1), atol=1e-6)
        assert result.min() >= images.min() - 1e-6
