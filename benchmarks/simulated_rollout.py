"""Whole rollouts on simulated traffic, by the keeper's own judge and stages; no store, and a clock that is made up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm

from serving.control.state import State
from serving.control.tally import ShadowTally, Tally, VariantTally
from serving.keeper import changes
from serving.keeper.changes import Advance
from serving.keeper.stages import decide
from serving.keeper.verdict import Verdict
from serving.package import Package
from serving.reference import Bins, Expected, Reference
from serving.shapes import Rollout

Array = np.ndarray[Any, Any]
EDGES = norm.ppf(np.arange(1, 10) / 10)
LABELS = ("a", "b", "c")
LABELLED = 0.02  # of the rows get a label
FAST, LATE = 5, 12  # bins of SECONDS: 3 to 5 ms, and 100 to 250 ms
ROLLOUT = {
    "treatment_share": 0.01, "salt": "s", "threads": 1, "workers": 1,
    "limits": {"rows": 1, "body_bytes": 1, "timeout_s": 1, "concurrency": 1}, "shadow": {"share": 0.1},
}  # fmt: skip


@dataclass(frozen=True)
class Traffic:
    """What the treatment does, from `begins_s` on; before that, and the control always, all is well."""

    name: str
    late: float = 0.005
    errors: float = 0.0005
    disagreed: float = 0.007
    right: float = 0.92
    shift: float = 0.0  # of the inputs, in standard deviations
    begins_s: float = 0.0
    ends: bool = True  # where it arrives; else it goes on at the last stage


GOOD = Traffic("as on val")


@dataclass(frozen=True)
class Ended:
    """How one rollout ended, when, at which share, after how many answers of the treatment; and alarms of drift."""

    mode: str
    seconds: float
    share: float
    answers: int
    drifts: int
    since_harm_s: float


def package() -> Package:
    """A package with the limits that rollout.yaml has by default, and nothing to serve."""
    reference = Reference(
        rows=2000,
        features={"mean": Bins(edges=tuple(EDGES.tolist()), counts=(200,) * 10)},
        predicted={"control": dict.fromkeys(LABELS, 700), "treatment": dict.fromkeys(LABELS, 700)},
        confidence={"control": (0,) * 10 + (200,) * 10, "treatment": (0,) * 10 + (200,) * 10},
        disagreement=Expected(rows=2000, count=14, high=0.01),
    )
    made = Rollout.model_validate(ROLLOUT)
    return Package(Path(), None, LABELS, None, made, {}, reference=reference)  # type: ignore[arg-type]


def rollout(traffic: Traffic, of: Package, *, per_s: int, look_s: int, until_s: int, seed: int) -> Ended:
    """One rollout from the first stage on, until it is taken back, has arrived and shown no harm yet, or `until_s`."""
    rng = np.random.default_rng(seed)
    row = State(
        generation=1, package="p", version="1", share=of.rollout.stages[0], stage=0, mode="rolling", by="simulation"
    )
    verdict, sums, answers, drifts = Verdict(row, of), Tally(), 0, 0
    told: set[str] = set()
    for now_s in range(look_s, until_s + 1, look_s):
        does = traffic if now_s > traffic.begins_s else GOOD
        step = _step(does, row.share, per_s * look_s, of.rollout.shadow.share, rng)
        sums, answers = sums + step, answers + step.treatment.rows
        known = verdict.see(sums, float(now_s))
        drifted = {f.rule for f in known.findings if f.rule not in known.harms and f.outcome == "harm"}
        drifts, told = drifts + len(drifted - told), drifted
        decision = decide(row, of.rollout, known, float(now_s))
        if decision is None:
            continue
        if decision.kind == "rollback":
            return Ended("rolled_back", now_s, row.share, answers, drifts, now_s - traffic.begins_s)
        asked = Advance(expected=row.generation, by="judge", stage=decision.stage, share=decision.share)
        row = changes.advanced(row, asked, float(now_s))
        if row.mode == "settled" and traffic.ends:
            return Ended("settled", now_s, row.share, answers, drifts, now_s - traffic.begins_s)
        verdict, sums = Verdict(row, of), Tally()
    return Ended(row.mode, until_s, row.share, answers, drifts, until_s - traffic.begins_s)


def _step(t: Traffic, share: float, requests: int, shadow: float, rng: np.random.Generator) -> Tally:
    """The counts of one look."""
    ours = int(rng.binomial(requests, share))
    compared = int(rng.binomial(ours, shadow))
    return Tally(
        treatment=_variant(ours, t.late, t.errors, t.right, rng),
        control=_variant(requests - ours, GOOD.late, GOOD.errors, GOOD.right, rng),
        shadow=ShadowTally(compared=compared, agreed=compared - int(rng.binomial(compared, t.disagreed))),
        inputs={"mean": tuple(rng.multinomial(min(requests, 500), _deciles(t.shift)).tolist())},
    )


def _deciles(shift: float) -> Array:
    """The chances of the reference's bins, for inputs that moved."""
    return np.diff(norm.cdf(np.r_[-np.inf, EDGES, np.inf], loc=shift))


def _variant(n: int, late: float, errors: float, right: float, rng: np.random.Generator) -> VariantTally:
    failed = int(rng.binomial(n, errors))
    answered = n - failed
    slow, known = int(rng.binomial(answered, late)), int(rng.binomial(answered, LABELLED))
    latency = [0] * len(VariantTally().latency)
    latency[FAST], latency[LATE] = answered - slow, slow
    true = int(rng.binomial(known, right))
    return VariantTally(
        requests=answered,
        rows=answered,
        errors=failed,
        latency=tuple(latency),
        predicted=dict(zip(LABELS, rng.multinomial(answered, [1 / 3] * 3).tolist(), strict=True)),
        confidence=(0,) * 10 + tuple(rng.multinomial(answered, [0.1] * 10).tolist()),
        right=true,
        wrong=known - true,
    )
