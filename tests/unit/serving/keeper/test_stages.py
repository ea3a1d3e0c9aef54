"""Who gets the treatment next: the table of modes, proofs and what is waited for."""

from __future__ import annotations

from typing import Any

import pytest

from serving.control.state import State
from serving.keeper.judge.finding import Finding, Outcome
from serving.keeper.stages import Decision, Evidence, decide, waits
from serving.shapes import Rollout
from tests import made_package

LIMITS = {"min_rows": 100, "hold_s": 10}
ROLLOUT = Rollout.model_validate({**made_package.ROLLOUT, "stages": [0.01, 0.5], "judge": LIMITS})
ROW = State(generation=4, package="/p", version="3", share=0.01, stage=0, mode="rolling", by="test", since_s=1000.0)


def known(rows: int = 100, missing: str = "", **outcomes: Outcome) -> Evidence:
    every = {"p95": "within", "errors": "within", "accuracy": "unclear", "drift_inputs": "within", **outcomes}
    findings = [Finding(rule=rule, outcome=outcome, sentence="s") for rule, outcome in every.items()]  # type: ignore[arg-type]
    return Evidence(findings, frozenset({"p95", "errors", "accuracy"}), frozenset({"p95", "errors"}), rows, missing)


def test_with_every_proof_it_advances_and_at_last_settles() -> None:
    assert decide(ROW, ROLLOUT, known(), 1010.0) == Decision("advance", 1, 0.5, "p95: s; errors: s")
    last = ROW.model_copy(update={"stage": 1, "share": 0.5})
    assert decide(last, ROLLOUT, known(), 1010.0) == Decision("advance", 1, 0.5, "the last stage; p95: s; errors: s")


@pytest.mark.parametrize(
    ("changes", "now_s", "wanted"),
    [
        ({"rows": 99}, 1010.0, "100 rows of the treatment; there are 99"),
        ({}, 1009.0, "10 s since the last change; it is 9 s"),
        ({"errors": "unclear"}, 1010.0, "errors within its limit"),
        ({"missing": "a reference"}, 1010.0, "a reference"),
    ],
)
def test_without_one_proof_it_waits_and_says_for_what(changes: dict[str, Any], now_s: float, wanted: str) -> None:
    assert decide(ROW, ROLLOUT, known(**changes), now_s) is None
    assert waits(ROW, ROLLOUT, known(**changes), now_s) == (wanted,)


@pytest.mark.parametrize("mode", ["rolling", "held", "settled"])
@pytest.mark.parametrize("rule", ["p95", "errors", "accuracy"])
def test_one_proof_of_harm_takes_it_back_in_any_mode(mode: str, rule: str) -> None:
    row = ROW.model_copy(update={"mode": mode, "stage": -1, "share": 0.3})
    harmful = known(rows=3, **{rule: "harm"})  # type: ignore[arg-type]
    assert decide(row, ROLLOUT, harmful, 1000.0) == Decision("rollback", -1, 0.0, f"{rule}: s")


def test_nothing_is_taken_back_twice_and_drift_takes_nothing_back() -> None:
    back = ROW.model_copy(update={"mode": "rolled_back", "share": 0.0, "stage": -1})
    assert decide(back, ROLLOUT, known(errors="harm"), 2000.0) is None
    held = ROW.model_copy(update={"mode": "held"})
    assert decide(held, ROLLOUT, known(drift_inputs="harm"), 2000.0) is None
    assert waits(held, ROLLOUT, known(), 2000.0) == ()


@pytest.mark.parametrize("mode", ["held", "settled"])
def test_only_what_rolls_advances(mode: str) -> None:
    assert decide(ROW.model_copy(update={"mode": mode}), ROLLOUT, known(), 2000.0) is None


def test_a_reason_fits_into_the_row() -> None:
    long = Evidence([Finding(rule="p95", outcome="harm", sentence="x" * 900)], frozenset({"p95"}), frozenset(), 0)
    found = decide(ROW, ROLLOUT, long, 2000.0)
    assert found is not None and len(found.reason) == 500 and found.reason.endswith("...")
