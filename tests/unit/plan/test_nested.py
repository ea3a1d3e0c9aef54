"""Blocks within blocks: a mistake deep inside is told with its place, and once."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tasks.core.errors import PlanError
from tasks.plan import load_plan

PLAN = yaml.safe_load((Path(__file__).parents[3] / "params" / "smoke.yaml").read_text())
FIT = {"from": "baseline", "epochs": 1, "lr": 0.1}
STUDENT = {"arch": "mlp"}


def complaints(tmp_path: Path, row: dict[str, object], **top: object) -> list[str]:
    plan = {**PLAN, **top, "variants": {**PLAN["variants"], "row": {**FIT, **row}}}
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan))
    try:
        load_plan(tmp_path / "plan.yaml")
    except PlanError as e:
        return str(e).splitlines()
    return []


@pytest.mark.parametrize("hidden", [{"student": "0", "teacher": "0"}, [{"student": "0", "teacher": "0"}] * 2, None])
def test_one_pair_or_several(tmp_path: Path, hidden: object) -> None:
    assert complaints(tmp_path, {"technique": "distill", "student": STUDENT, "hidden": hidden}) == []


@pytest.mark.parametrize(
    ("hidden", "place"),
    [({"student": "0", "techer": "0"}, "hidden.techer"), ([{"student": "0", "techer": "0"}], "hidden[0].techer")],
)
def test_a_wrong_key_of_a_pair(tmp_path: Path, hidden: object, place: str) -> None:
    found = complaints(tmp_path, {"technique": "distill", "student": STUDENT, "hidden": hidden})
    told = [line for line in found if place in line]
    assert len(told) == 1 and "did you mean 'teacher'?" in told[0] and "weight" in told[0]
    assert len(found) == 2  # the other: `teacher` is missing


@pytest.mark.parametrize("members", [3, [{"arch": "mlp"}, {"arch": "small_cnn", "width": 4}]])
def test_members_by_number_or_by_block(tmp_path: Path, members: object) -> None:
    assert complaints(tmp_path, {"technique": "ensemble", "members": members}) == []


def test_a_member_that_is_wrong(tmp_path: Path) -> None:
    wrong = [{"arch": "mpl"}, {"arch": "mlp"}]
    (row,) = complaints(tmp_path, {"technique": "ensemble", "members": wrong})
    (model,) = complaints(tmp_path, {"technique": "train"}, model={"arch": "ensemble", "members": wrong})
    assert "variants.row.members[0].arch" in row and "did you mean 'mlp'?" in row
    assert "model.members[0].arch" in model and "did you mean 'mlp'?" in model
