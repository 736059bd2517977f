import keras
import numpy as np
import pytest

from clel_tf.optimizers import Adam


def papers(w, gradients, rate, beta_1, beta_2, epsilon):
    # Algorithm 1 of the paper, in float64.
    m = v = 0.0
    for t, g in enumerate(gradients, 1):
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g * g
        corrected = m / (1 - beta_1**t), v / (1 - beta_2**t)
        w = w - rate * corrected[0] / (np.sqrt(corrected[1]) + epsilon)
    return w


def gradients(scale, steps=20, seed=0):
    rng = np.random.default_rng(seed)
    return [scale * rng.normal(size=5) for _ in range(steps)]


@pytest.mark.parametrize("scale", [1.0, 1e-5, 1e-8])
@pytest.mark.parametrize("beta_1", [0.0, 0.9])
def test_follows_the_papers_algorithm(scale, beta_1):
    options = {"beta_1": beta_1, "beta_2": 0.999, "epsilon": 1e-8}
    w = keras.Variable(np.zeros(5, "float32"))
    optimizer = Adam(0.1, **options)
    for g in gradients(scale):
        optimizer.apply([g.astype("float32")], [w])
    expected = papers(np.zeros(5), gradients(scale), 0.1, **options)
    np.testing.assert_allclose(w, expected, rtol=1e-4, atol=1e-6)


def test_kerass_own_would_differ():
    first = gradients(1e-8, steps=1)[0].astype("float32")
    moved = []
    for kind in (Adam, keras.optimizers.Adam):
        w = keras.Variable(np.zeros(5, "float32"))
        kind(0.1, epsilon=1e-8).apply([first], [w])
        moved.append(np.abs(w).max())
    assert moved[0] > 5 * moved[1]


def test_config_builds_an_equal_optimizer():
    optimizer = Adam(0.2, beta_1=0.0, epsilon=1e-6, clipnorm=1.0)
    config = keras.optimizers.serialize(optimizer)
    copied = keras.optimizers.deserialize(config)
    assert type(copied) is Adam
    assert copied.get_config() == optimizer.get_config()


def test_refuses_amsgrad():
    with pytest.raises(ValueError, match="`amsgrad` to be False"):
        Adam(amsgrad=True)
