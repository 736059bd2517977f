import numpy as np
import pytest
from comparison import torch

from clel_tf.metrics import detection

TOLERANCE = 1e-12


@pytest.fixture(scope="module")
def peer(pytorch_ood):
    return pytorch_ood("metrics")


def draw(steps):
    rng = np.random.default_rng(0)
    inside, ood = rng.beta(2, 4, size=250), rng.beta(4, 3, size=170)
    return [np.rint(x * steps) / steps for x in (inside, ood)]


@pytest.fixture(
    params=[2**16, 16, 2], ids=["few ties", "many ties", "three values"]
)
def scores(request):
    return draw(request.param)


def for_peer(inside, ood):
    labels = torch.tensor([0] * len(inside) + [-1] * len(ood))
    return torch.tensor(np.concatenate([inside, ood])), labels


def test_area_and_false_alarms_agree(peer, scores):
    expected = peer.OODMetrics().update(*for_peer(*scores)).compute()
    result = detection(*scores, resamples=1)
    assert abs(result.auroc.value - expected["AUROC"]) <= TOLERANCE
    assert abs(result.fpr_at_95_tpr.value - expected["FPR95TPR"]) <= TOLERANCE


@pytest.mark.parametrize("positive", ["ood", "id"])
def test_precisions_agree_but_for_straight_lines(peer, scores, positive):
    # The peer joins the points of the curve by lines. Average precision has
    # steps: no threshold reaches what lies between (Davis and Goadrich, 2006).
    inputs = for_peer(*scores)
    precision, recall, _ = peer.functional.pr_curve(*inputs, positive)
    below_lines = -(torch.diff(recall) @ torch.diff(precision)) / 2
    result = detection(*scores, resamples=1)
    found = {"ood": result.aupr_out, "id": result.aupr_in}[positive].value
    metric = {"ood": "AUPR-OUT", "id": "AUPR-IN"}[positive]
    expected = peer.OODMetrics().update(*inputs).compute()[metric]
    assert abs(found + below_lines - expected) <= TOLERANCE
