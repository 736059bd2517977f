import numpy as np
import pytest
from linear_model import LABELS
from linear_model import build
from linear_model import embeddings
from linear_model import fit
from linear_model import images
from linear_model import unit

from clel_tf import teachers


@pytest.fixture(scope="module")
def model():
    return build(teachers.Supervised(temperature=0.5))


def test_both_views_of_all_images_of_a_class_attract_each_other(model):
    views = images(8, seed=1), images(8, seed=2)
    z = unit(embeddings(model.encoder, np.concatenate(views)))
    labels, terms = np.tile(LABELS, 2), []
    for i in range(16):
        rest = [j for j in range(16) if j != i]
        total = sum(np.exp(z[i] @ z[j] / 0.5) for j in rest)
        same = [j for j in rest if labels[j] == labels[i]]
        logs = [np.log(np.exp(z[i] @ z[p] / 0.5) / total) for p in same]
        terms.append(-np.mean(logs))
    loss = model.teacher.loss(model.encoder, views, labels=LABELS)
    assert float(loss) == pytest.approx(np.mean(terms), rel=1e-5)


@pytest.mark.parametrize(
    "labels, received",
    [
        (None, "none"),
        (LABELS.astype("float32"), "float32"),
        (np.eye(3, dtype="int64")[LABELS], r"\(8, 3\)"),
    ],
)
def test_images_without_labels_are_refused(model, labels, received):
    step = int(model.step.numpy())
    words = f"Expected images and labels.*Supervised.*received: .*{received}"
    with pytest.raises(ValueError, match=words):
        fit(model, images(), labels)
    assert int(model.step.numpy()) == step
