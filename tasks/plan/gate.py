"""The gate: every file under params/ is checked before anything runs, and all mistakes come out at once."""

from __future__ import annotations

from pathlib import Path
from typing import Final, TypeVar

from tasks.core.errors import PlanError
from tasks.core.frozen import Frozen
from tasks.plan.blocks import check_data, check_model
from tasks.plan.explain import checked
from tasks.plan.places import fill_in
from tasks.plan.problems import MISSING, Document, Problem
from tasks.plan.read import read
from tasks.plan.rows import check_choice, check_rows
from tasks.plan.schema import Expectations, PlainKeys, Plan, Promotion, Rollout, Schedule, Settings

F = TypeVar("F", bound=Frozen)
FOLDER: Final = Path("params")
PLUG_KEYS: Final = ("data", "model", "variants")


def load(folder: Path = FOLDER) -> Settings:
    """All settings; PlanError, one line a mistake, when any file is missing or wrong. smoke.yaml may be missing."""
    if not folder.is_dir():
        raise PlanError(str(Problem(folder, (), "no such folder", "the folder of plan.yaml and its companions")))
    problems: list[Problem] = []
    plan = _plan(folder / "plan.yaml", problems)
    expectations = _flat(folder / "expectations.yaml", Expectations, problems)
    rollout = _flat(folder / "rollout.yaml", Rollout, problems)
    promotion = _flat(folder / "promotion.yaml", Promotion, problems)
    schedule = _flat(folder / "schedule.yaml", Schedule, problems)
    if (folder / "smoke.yaml").exists():
        _plan(folder / "smoke.yaml", problems)
    _raise_all(problems)
    assert plan and expectations and rollout and promotion and schedule
    return Settings(plan=plan, expectations=expectations, rollout=rollout, promotion=promotion, schedule=schedule)


def load_plan(file: Path) -> Plan:
    """One file of plan.yaml's shape; PlanError, one line a mistake, when it is missing or wrong."""
    problems: list[Problem] = []
    plan = _plan(file, problems)
    _raise_all(problems)
    assert plan
    return plan


def _plan(file: Path, problems: list[Problem]) -> Plan | None:
    doc = read(file)
    fill_in(doc)
    plan = _checked_plan(doc) if doc.readable else None
    problems += _in_order(doc)
    return plan


def _checked_plan(doc: Document) -> Plan | None:
    plain = {key: value for key, value in doc.value.items() if key not in PLUG_KEYS}
    head = checked(doc, (), PlainKeys, plain, also=PLUG_KEYS)
    data = check_data(doc)
    model = check_model(doc, ("model",), doc.value.get("model", MISSING))
    variants = check_rows(doc)
    check_choice(doc)
    if doc.problems or head is None or data is None or model is None:
        return None
    return Plan(
        **{key: getattr(head, key) for key in PlainKeys.model_fields}, data=data, model=model, variants=variants
    )


def _flat(file: Path, kind: type[F], problems: list[Problem]) -> F | None:
    """A file whose keys are all known beforehand."""
    doc = read(file)
    found = checked(doc, (), kind, doc.value) if doc.readable else None
    problems += _in_order(doc)
    return found


def _in_order(doc: Document) -> list[Problem]:
    return sorted(doc.problems, key=lambda problem: problem.line or 0)


def _raise_all(problems: list[Problem]) -> None:
    if problems:
        raise PlanError("\n".join(dict.fromkeys(str(problem) for problem in problems)))
