import numpy as np
import pytest
from linear_model import build
from linear_model import embeddings
from linear_model import images
from linear_model import unit

from clel_tf import random
from clel_tf import teachers


@pytest.fixture(scope="module")
def model():
    return build(teachers.Masked(0.5, 2, decoder_width=5, seed=0))


def masks(model, count):
    keys = random.fold_in(random.as_key(3), np.arange(count))
    return model.teacher.mask(keys).numpy()


def test_as_many_patches_are_hidden_in_every_image(model):
    mask = masks(model, 200)
    assert mask.shape == (200, 4, 4, 1)
    patches = mask.reshape(200, 2, 2, 2, 2).swapaxes(2, 3).reshape(200, 4, 4)
    assert set(np.unique(patches.sum(-1))) == {0.0, 4.0}  # whole ones
    assert (patches.mean((1, 2)) == 0.5).all()
    # Every patch as often as any other: 100 times, give or take 7.
    assert (np.abs(patches.mean(-1).sum(0) - 100) < 30).all()


@pytest.mark.parametrize("ratio, hidden", [(0.01, 1), (0.99, 15), (0.3, 5)])
def test_the_ratio_is_rounded_to_patches(ratio, hidden):
    model = build(teachers.Masked(ratio, patch_size=1))
    assert (masks(model, 3).sum((1, 2, 3)) == hidden).all()


def test_hidden_pixels_are_drawn_from_the_latent_of_the_others(model):
    view, key = images(6, seed=1), random.as_key(4)
    mask = model.teacher.mask(random.fold_in(key, np.arange(6))).numpy()
    z = unit(embeddings(model.encoder, np.where(mask > 0, 0.5, view)))
    first, bias, last, shift = model.teacher.decoder.get_weights()
    drawn = np.maximum(z @ first + bias, 0.0) @ last + shift
    errors = (view - drawn.reshape(view.shape)) ** 2
    expected = errors[mask > 0].mean()
    views = view, images(6, seed=2)  # of which the other is not looked at
    loss = model.teacher.loss(model.encoder, views, key=key)
    assert float(loss) == pytest.approx(expected, rel=1e-5)
