"""Distillation: the student learns, and hidden layers are matched as FitNets defines it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tasks.core import matching, pairing
from tasks.core.errors import TechniqueError
from tasks.techniques import distill
from tests.unit import tiny

STUDENT = {"arch": "small_cnn", "width": 4}


def distilled(**params: object) -> distill.Outcome:  # type: ignore[name-defined]
    torch.manual_seed(0)
    settings = {"epochs": 8, "lr": 0.05, "batch": 32, "student": STUDENT} | params
    return distill.apply(tiny.trained(), tiny.pictures(), distill.Params(**settings))


def test_the_student_has_its_own_architecture_and_learns() -> None:
    data, outcome = tiny.pictures(), distilled()
    assert dict(outcome.model.arch) == STUDENT and outcome.model.changes == ()
    assert tiny.accuracy(tiny.logits(outcome.model, data), data) > 0.95
    assert outcome.facts["parameters_after"] < outcome.facts["parameters_before"] / 2


def test_hidden_loss_is_half_the_mean_square_of_the_projected_difference() -> None:
    rng = np.random.default_rng(0)
    student, teacher = rng.normal(size=(2, 3, 4, 4)), rng.normal(size=(2, 5, 4, 4))
    projection = nn.Conv2d(3, 5, 1)
    w, b = projection.weight.detach().numpy()[:, :, 0, 0], projection.bias.detach().numpy()  # type: ignore[union-attr]
    projected = np.einsum("ts,nshw->nthw", w, student) + b[None, :, None, None]
    found = matching.hidden_loss(torch.tensor(student), torch.tensor(teacher), projection)
    assert found.item() == pytest.approx(0.5 * np.mean((projected - teacher) ** 2), rel=1e-5)


def test_hidden_loss_is_zero_when_the_projection_makes_them_equal() -> None:
    features = torch.randn(4, 3)
    assert matching.hidden_loss(features, features, nn.Identity()).item() == 0


@pytest.mark.parametrize(
    ("student", "teacher", "kind"),
    [((2, 3, 4, 4), (2, 8, 4, 4), nn.Conv2d), ((2, 3), (2, 8), nn.Linear), ((2, 7, 3), (2, 7, 8), nn.Linear)],
)
def test_projection_maps_features_alone(student: tuple[int, ...], teacher: tuple[int, ...], kind: type) -> None:
    projection = pairing.projection_for(torch.zeros(student), torch.zeros(teacher))
    assert isinstance(projection, kind) and projection(torch.zeros(student)).shape == teacher


@pytest.mark.parametrize("teacher", [(2, 8, 2, 2), (2, 8), (2, 8, 4)])
def test_layers_of_another_resolution_cannot_be_matched(teacher: tuple[int, ...]) -> None:
    with pytest.raises(TechniqueError, match="same resolution"):
        pairing.projection_for(torch.zeros(2, 3, 4, 4), torch.zeros(teacher))


def test_matching_pulls_the_student_s_features_to_the_teacher_s() -> None:
    """With the projection refitted by least squares, matched features explain the teacher's better."""
    data, teacher = tiny.pictures(), tiny.trained()

    def unexplained(student: nn.Module) -> float:
        seen = []
        for module in (student, teacher.module):
            with matching.watching(module, "2", "network") as out, torch.no_grad():
                module(*tiny.inputs(data))
                seen.append(out[0].permute(0, 2, 3, 1).flatten(0, 2).numpy())
        x = np.c_[seen[0], np.ones(len(seen[0]))]
        rest = seen[1] - x @ np.linalg.lstsq(x, seen[1], rcond=None)[0]
        return float(rest.var() / seen[1].var())

    plain = distilled(epochs=4).model.module
    matched = distilled(epochs=4, hidden={"student": "2", "teacher": "2", "weight": 10.0}).model.module
    assert unexplained(matched) < unexplained(plain)
    assert not any(m._forward_hooks for m in [*matched.modules(), *teacher.module.modules()])
    assert set(matched.state_dict()) == set(plain.state_dict())


def test_an_unknown_layer_is_named_with_the_nearest() -> None:
    with pytest.raises(TechniqueError, match=r"no layer '0\.00' in the student.*did you mean '0\.0'"):
        distilled(hidden={"student": "0.00", "teacher": "0.0"})


def test_several_pairs_and_attention_maps_are_matched_at_once() -> None:
    """The student looks where the teacher looks, and only the projection of `features` was a helper."""
    data, teacher = tiny.pictures(), tiny.trained()

    def apart(student: nn.Module) -> float:
        with (
            matching.watching(student, "2", "student") as own,
            matching.watching(teacher.module, "2", "teacher") as theirs,
            torch.no_grad(),
        ):
            for module in (student, teacher.module):
                module(*tiny.inputs(data))
            return matching.map_loss(own[0], theirs[0]).item()

    pairs = (
        {"student": "2", "teacher": "2", "match": "map", "weight": 5.0},
        {"student": "0", "teacher": "0", "weight": 0.1},
    )
    assert apart(distilled(epochs=4, hidden=pairs).model.module) < 0.7 * apart(distilled(epochs=4).model.module)
