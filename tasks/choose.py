"""Chooses the variant to ship: the best by `prefer` among those that keep the budget, judged on `val` alone.

It never looks at `test`: a number that has helped to choose is no longer an honest one to report.
"""

from __future__ import annotations

from collections.abc import Mapping

from tasks.core import artifact
from tasks.core.errors import ArtifactError, NothingFitsError
from tasks.core.findings import Worth
from tasks.core.metrics import HIGHER, cost
from tasks.core.results import Bench, Candidate, Chosen, Evaluation, Quality, Timing
from tasks.evidence.stats import pareto_front
from tasks.evidence.worth import MILLION, request
from tasks.plan.schema import ChooseBlock, Settings
from tasks.plan.worth import WorthBlock

EXACT = 9  # decimals: more are noise of binary fractions (0.96 - 0.94 > 0.02), fewer could hide a row


def run(settings: Settings) -> None:
    """Write results/chosen.json; NothingFitsError, with nothing written, when no variant keeps the budget."""
    choose, names = settings.plan.choose, list(settings.plan.variants)
    bench = artifact.read_json(artifact.BENCH, Bench)
    if bench.reference != choose.reference:
        raise ArtifactError(
            f"{artifact.BENCH}: measured against {bench.reference!r}, the plan says {choose.reference!r}; run again"
        )
    seen = {name: artifact.read_json(artifact.evaluation_file(name), Evaluation) for name in names}
    timed = {name: bench.timing(name, settings.plan.bench.first) for name in names}
    reference = seen[choose.reference].val
    worth = {name: worth_of(timed[name], bench.joules_per_row.get(name), choose.worth) for name in names}
    candidates = {}
    for name in names:
        values = values_of(seen[name], reference, timed[name], worth[name])
        candidates[name] = Candidate(values=values, gaps=gaps(values, choose))
    fitting = [name for name in names if not candidates[name].gaps]
    if not fitting:
        raise NothingFitsError(explain(candidates, choose))
    best = min(
        fitting,
        key=lambda name: (cost(choose.prefer, candidates[name].values[choose.prefer]), seen[name].size_bytes, name),
    )
    points = {name: tuple(candidates[name].values[axis] for axis in choose.axes) for name in names}
    found = Chosen(
        variant=best,
        reference=choose.reference,
        prefer=choose.prefer,
        axes=choose.axes,
        front=pareto_front(points, maximise=[axis in HIGHER for axis in choose.axes]),
        candidates=candidates,
        worth=worth,
    )
    artifact.write_json(artifact.CHOSEN, found)
    wanted = "greatest" if choose.prefer in HIGHER else "smallest"
    print(f"chosen: {best}, the {wanted} {choose.prefer} of the {len(fitting)} of {len(names)} that keep the budget")
    if best == choose.reference:
        print(f"{best} is the reference itself: no compressed variant within the budget is better")


def worth_of(timing: Timing, joules: float | None, block: WorthBlock) -> Worth:
    """What a request costs at that timing; `joules` as the processor counted them, None where it could not be asked."""
    assumed = block.model_dump(exclude={"currency"})
    price, energy, grams = request(timing.rows_per_s, timing.threads, joules, **assumed)
    return Worth(
        cost_per_million=price * MILLION,
        currency=block.currency,
        joules_per_request=energy,
        joules_from="estimate" if joules is None else "RAPL",
        grams_co2_per_million=grams * MILLION,
    )


def values_of(seen: Evaluation, reference: Quality, timing: Timing, worth: Worth) -> dict[str, float]:
    """Every metric that a plan may bound or prefer; quality on `val`."""
    return {
        "accuracy": seen.val.accuracy,
        "accuracy_drop": round(reference.accuracy - seen.val.accuracy, EXACT),
        "worst_class_drop": round(worst_class_drop(seen.val, reference), EXACT),
        "macro_f1": seen.val.macro_f1,
        "agreement": seen.val.agreement,
        "calibration_error": seen.val.calibration_error,
        "size_mb": seen.size_bytes / 1e6,
        "parameters": float(seen.parameters),
        "macs": float(seen.macs),
        "latency_p50_ms": timing.p50_ms,
        "latency_p95_ms": timing.p95_ms,
        "latency_p99_ms": timing.p99_ms,
        "latency_ratio": timing.ratio.value,
        "rows_per_s": timing.rows_per_s,
        "portability_disagreement": disagreement(seen),
        "cost_per_million": worth.cost_per_million,
        "joules_per_request": worth.joules_per_request,
        "grams_co2_per_million": worth.grams_co2_per_million,
    }


def disagreement(seen: Evaluation) -> float:
    """The share of rows with another answer on other processors: 0 by proof, 1 where nothing is known."""
    if seen.portability is None or seen.portability.verdict == "portable by proof":
        return 0.0
    return 1.0 if seen.portability.disagreement is None else seen.portability.disagreement


def gaps(values: Mapping[str, float], choose: ChooseBlock) -> dict[str, float]:
    """By how much each bound is missed, those of `at_least` downwards; only bounds that are."""
    missed: dict[str, float] = {key: round(values[key] - bound, EXACT) for key, bound in choose.at_most.items()}
    missed |= {key: round(bound - values[key], EXACT) for key, bound in choose.at_least.items()}
    return {key: gap for key, gap in missed.items() if gap > 0}


def worst_class_drop(mine: Quality, reference: Quality) -> float:
    """The largest loss of recall over the classes, reference minus variant; negative when every class gained."""
    return max((r - mine.per_class_recall[name] for name, r in reference.per_class_recall.items()), default=0.0)


def explain(candidates: dict[str, Candidate], choose: ChooseBlock) -> str:
    """One line a variant: each bound that it misses, and by how much."""
    bounds: list[tuple[str, str, float]] = [("at most", *bound) for bound in choose.at_most.items()]
    bounds += [("at least", *bound) for bound in choose.at_least.items()]
    lines = ["no variant keeps the budget of `choose: at_most` and `at_least` in params/plan.yaml:"]
    for name, candidate in candidates.items():
        misses = (
            f"{key} {candidate.values[key]:.4g}, {way} {bound:.4g} (misses by {gap:.4g})"
            for way, key, bound in bounds
            if (gap := candidate.gaps.get(key))
        )
        lines.append(f"  {name}: {'; '.join(misses)}")
    return "\n".join(lines)
