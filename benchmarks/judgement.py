"""How often the judge is wrong, and how soon it is right, over many simulated runs.

    python -m benchmarks.judgement [--runs 1000] [--rollouts 100]

Counts are drawn, not measured, so a machine changes nothing. The limits are those of rollout.yaml by default.
"""

from __future__ import annotations

import argparse

import numpy as np

from benchmarks import simulated_drift as drift
from benchmarks import simulated_rules as one
from benchmarks.simulated_rollout import GOOD, Ended, Traffic, package, rollout
from benchmarks.simulated_rules import AT_THE_LIMIT, HARMFUL, Case, looks_to_harm, looks_to_within, of
from benchmarks.simulated_rules import GOOD as WELL
from serving.shapes import DriftLimits

EACH = one.LIMITS.alpha / len(one.RULES)
PER_S, LOOK_S = 1000, 10
SCENARIOS = (
    (GOOD, 3 * 3600),
    (Traffic("every rule at its limit", late=0.05, errors=0.01, disagreed=0.03, right=0.90), 1800),
    (Traffic("2 % errors", errors=0.02), 3 * 3600),
    (Traffic("5 % errors", errors=0.05), 3 * 3600),
    (Traffic("15 % late", late=0.15), 3 * 3600),
    (Traffic("disagreement 5 %", disagreed=0.05), 3 * 3600),
    (Traffic("disagreement 20 %", disagreed=0.20), 3 * 3600),
    (Traffic("accuracy 82 % for 92 %", right=0.82, ends=False), 3 * 3600),
    (Traffic("inputs moved by half a deviation, for both", shift=0.5), 3 * 3600),
    (Traffic("5 % errors, an hour after the start", errors=0.05, begins_s=3600, ends=False), 2 * 3600),
)


def false_alarms(runs: int) -> None:
    """At the very limit, half an hour, looked at every ten seconds."""
    print(f"| rule | truth | of {runs} runs, alpha 0.05 | bound |\n| --- | --- | --- | --- |")
    for case in AT_THE_LIMIT:
        few = runs if case.rule not in ("p95", "accuracy") else runs // 2
        found = looks_to_harm(case, 0.05, runs=few, looks=180, rows=100, look_s=10, seed=1)
        print(f"| {case.rule} | {case.what} | {(found <= 180).sum()} of {few} | {round(0.05 * few)} |", flush=True)


def delays(runs: int) -> None:
    """Rows until harm is proven, at the rule's own part of alpha."""
    print("\n| rule | truth | found | rows, median | 5 to 95 % |\n| --- | --- | --- | --- | --- |")
    for case in HARMFUL:
        rows = 1 if case in one.LARGE else 10
        found = looks_to_harm(case, EACH, runs=runs // 4, looks=1000, rows=rows, look_s=1, seed=2)
        print(one.row(case.rule, case.what, found, 1000, rows), flush=True)
    for minutes in (60, 1440):
        case = Case("disagreement", f"8 %, after {minutes // 60} h at 0.7 %", of(0.08))
        found = looks_to_harm(
            case, EACH, runs=runs // 4, looks=600, rows=10, look_s=1, seed=3, before=of(0.007), before_minutes=minutes
        )
        print(one.row(case.rule, case.what, found, 600, 10), flush=True)


def proofs(runs: int) -> None:
    """Rows until a rule is proven to be within its limit."""
    print("\n| rule | truth | proven within | rows, median | 5 to 95 % |\n| --- | --- | --- | --- | --- |")
    for case in WELL:
        found = looks_to_within(case, EACH, runs=runs // 4, looks=1000, rows=20, seed=4)
        print(one.row(case.rule, case.what, found, 1000, 20), flush=True)


def alarms(runs: int) -> None:
    """PSI and KS for eight hours, a window a minute, and ADWIN for 50,000 rows: nothing has moved."""
    print(f"\n| alarm | truth | of {runs} runs | at most |\n| --- | --- | --- | --- |")
    for rule, moved in (("psi", drift.SAME), ("psi", drift.SAME_LABELS), ("ks", drift.SAME)):
        for what, limits in (("chance alone", DriftLimits(psi=1e-9, ks=1e-9)), ("and the limit", drift.LIMITS)):
            found = drift.windows_to_drift(rule, moved, 0.05, runs=runs, windows=480, seed=5, limits=limits)
            print(f"| {rule}, {what} | {moved.what} | {(found <= 480).sum()} | {round(0.05 * runs)} |", flush=True)
    for mean in drift.STEADY:
        found = drift.rows_to_change(mean, 0.05, runs=runs, before=0, rows=50_000, seed=6)
        print(f"| adwin | {mean.what} | {(found <= 50_000).sum()} | {round(0.05 * runs)} |", flush=True)


def drift_delays(runs: int) -> None:
    """Rows until drift is told, at the alarm's own part of alpha and the default limits."""
    print("\n| alarm | truth | found | rows, median | 5 to 95 % |\n| --- | --- | --- | --- | --- |")
    for rule in ("psi", "ks"):
        for moved in drift.MOVED:
            if rule == "psi" or moved.label is None:
                found = drift.windows_to_drift(rule, moved, drift.EACH, runs=runs // 4, windows=60, seed=7)
                print(one.row(rule, moved.what, found, 60, drift.LIMITS.min_rows), flush=True)
    for mean in drift.CHANGED:
        found = drift.rows_to_change(mean, drift.OF_MEANS, runs=runs // 4, before=10_000, rows=50_000, seed=8)
        print(one.row("adwin", mean.what, found, 50_000, 1), flush=True)


def rollouts(runs: int) -> None:
    """Whole rollouts from 1 %, so many of each kind."""
    print("\n| treatment | taken back | arrived | drift or change told | seconds, median (5 to 95 %) | its answers |")
    print("| --- " * 6 + "|")
    made = package()
    for traffic, until_s in SCENARIOS:
        ended = [rollout(traffic, made, per_s=PER_S, look_s=LOOK_S, until_s=until_s, seed=seed) for seed in range(runs)]
        print(line(traffic, ended), flush=True)


def line(traffic: Traffic, ended: list[Ended]) -> str:
    """One row of the table of rollouts."""
    seconds = [e.since_harm_s for e in ended]
    low, middle, high = np.quantile(seconds, [0.05, 0.5, 0.95])
    back, there = (sum(e.mode == mode for e in ended) for mode in ("rolled_back", "settled"))
    told, answers = sum(e.drifts > 0 for e in ended), np.median([e.answers for e in ended])
    return (
        f"| {traffic.name} | {back} of {len(ended)} | {there} | {told} | {middle:,.0f} ({low:,.0f} to {high:,.0f}) |"
        f" {answers:,.0f} |"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--rollouts", type=int, default=100)
    asked = parser.parse_args()
    false_alarms(asked.runs)
    delays(asked.runs)
    proofs(asked.runs)
    alarms(asked.runs)
    drift_delays(asked.runs)
    rollouts(asked.rollouts)
