import numpy as np
import pytest
from linear_model import build
from linear_model import embeddings
from linear_model import images
from linear_model import unit

from clel_tf import teachers


def by_loops(z, negatives, temperature):
    terms, n = [], len(z) // 2
    for i in range(2 * n):
        others = [z[j] for j in range(2 * n) if j != i]
        total = sum(
            np.exp(z[i] @ o / temperature) for o in [*others, *negatives]
        )
        partner = z[(i + n) % (2 * n)]
        terms.append(-np.log(np.exp(z[i] @ partner / temperature) / total))
    return np.mean(terms)


@pytest.mark.parametrize("generated", [True, False])
def test_the_chains_latents_are_negatives_if_asked_for(generated):
    model = build(teachers.SimCLR(0.5, generated_negatives=generated))
    views = images(4, seed=1), images(4, seed=2)
    negatives = unit(np.random.default_rng(0).normal(size=(5, 3)))
    negatives = negatives.astype("float32")
    z = unit(embeddings(model.encoder, np.concatenate(views)))
    expected = by_loops(z, negatives if generated else [], 0.5)
    loss = model.teacher.loss(model.encoder, views, negatives=negatives)
    assert float(loss) == pytest.approx(expected, rel=1e-5)
