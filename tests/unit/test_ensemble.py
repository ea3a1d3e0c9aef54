"""Ensembles: the mean of the members, rebuilt from disk, and heard one by one by a student."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, logsumexp, softmax

from tasks.core import checkpoint
from tasks.core.committee import soft_targets
from tasks.core.contract import Network
from tasks.core.imitate import imitation_loss
from tasks.core.recipe import RecoverParams, warnings_of
from tasks.core.shape import body_of
from tasks.techniques import distill, ensemble, prune, slim
from tests.unit import tiny

FIT = {"epochs": 2, "lr": 0.05, "batch": 32}


def joined(parent: Network | None = None, **params: object) -> ensemble.Outcome:  # type: ignore[name-defined]
    torch.manual_seed(0)
    return ensemble.apply(parent or tiny.trained(), tiny.pictures(), ensemble.Params(**{**FIT, "members": 2} | params))


def said(network: Network) -> np.ndarray:  # type: ignore[type-arg]
    """(M, N, C) what each member says."""
    x = network.module.normalized(*tiny.inputs(tiny.pictures()))  # type: ignore[operator]
    with torch.no_grad():
        return np.stack([m(x).numpy() for m in body_of(network.module).members])  # type: ignore[union-attr]


@pytest.mark.parametrize("combine", ["probabilities", "logits"])
def test_answers_with_the_members_mean(combine: str) -> None:
    network = joined(combine=combine).model
    apart, together = said(network), tiny.logits(network, tiny.pictures())
    if combine == "logits":
        assert np.allclose(together, apart.mean(0), atol=1e-5)
    else:
        assert np.allclose(softmax(together, 1), softmax(apart, 2).mean(0), atol=1e-6)


def test_members_differ_and_blocks_choose_them() -> None:
    outcome = joined(members=({"arch": "small_cnn", "width": 4}, {"arch": "mlp", "hidden": [8]}))
    assert [b["arch"] for b in outcome.model.arch["members"]] == ["small_cnn", "mlp"]
    first, second = said(joined().model)
    assert not np.allclose(first, second)


def test_a_changed_parent_is_the_first_member_and_comes_back_from_disk(tmp_path: Path) -> None:
    data = tiny.pictures()
    parent = prune.apply(tiny.trained(), data, prune.Params(ratio=0.5, round_to=4)).model
    outcome = joined(parent, members=1, keep_parent=True)
    assert outcome.facts["members"] == 2 and len(outcome.model.changes) == 1
    assert np.allclose(said(outcome.model)[0], tiny.logits(parent, data), atol=1e-5)
    checkpoint.save(outcome.model, data, tmp_path)
    again = checkpoint.load(tmp_path, data)
    assert np.array_equal(tiny.logits(again, data), tiny.logits(outcome.model, data))


@pytest.mark.parametrize("mean", ["probabilities", "logits"])
def test_soft_targets_are_the_mean_of_softened_members(mean: str) -> None:
    network, x = joined().model, tiny.inputs(tiny.pictures())
    z = said(network) / 4
    expected = logsumexp(log_softmax(z, 2), 0) - np.log(2) if mean == "probabilities" else log_softmax(z.mean(0), 1)
    with torch.no_grad():
        found = log_softmax(soft_targets(network.module, x, 4.0, mean).numpy() / 4, 1)  # type: ignore[arg-type]
    assert np.allclose(found, expected, atol=1e-5)


def test_the_mean_of_the_losses_has_the_same_gradient() -> None:
    teachers, student = torch.randn(3, 5, 4), torch.randn(5, 4)
    mean = 4 * torch.log(torch.softmax(teachers / 4, -1).mean(0))
    grads = []
    for targets in ([mean], list(teachers)):
        leaf = student.clone().requires_grad_()
        sum(imitation_loss(leaf, t, temperature=4) / len(targets) for t in targets).backward()  # type: ignore[union-attr]
        grads.append(leaf.grad)
    assert torch.allclose(*grads, atol=1e-6)  # type: ignore[arg-type]


def test_a_student_learns_from_several_teachers() -> None:
    data = tiny.pictures()
    teachers = joined(members=1, keep_parent=True, epochs=6).model
    torch.manual_seed(0)
    params = distill.Params(epochs=8, lr=0.05, batch=32, alpha=1.0, student={"arch": "small_cnn", "width": 4})
    outcome = distill.apply(teachers, data, params)
    assert outcome.facts["teachers"] == 2
    assert tiny.accuracy(tiny.logits(outcome.model, data), data) > 0.9


@pytest.mark.parametrize(("temperature", "warns"), [(1.0, True), (1.01, False), (10.0, False), (10.1, True)])
def test_an_odd_temperature_warns_wherever_it_stands(temperature: float, warns: bool) -> None:
    recover = RecoverParams(epochs=1, lr=0.1, temperature=temperature)
    assert bool(warnings_of(recover)) == warns
    (*found,) = warnings_of(prune.Params(ratio=0.5, recover=recover))
    assert [text.startswith(f"recover: temperature {temperature:g}") for text in found] == [True] * warns


def test_the_default_of_a_technique_is_meant() -> None:
    assert not warnings_of(slim.Params(epochs=1, lr=0.1))
    assert warnings_of(slim.Params(epochs=1, lr=0.1, temperature=20))
