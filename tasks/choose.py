"""Chooses the variant to ship: the best by `prefer` among those that keep the budget, judged on `val` alone.

A bound holds for the upper end of a figure's interval (tasks/evidence/bounds.py), and a variant that collapses is
barred. Latencies that their intervals do not tell apart are named. `test` is never looked at: a number that has helped
to choose is no longer an honest one to report.
"""

from __future__ import annotations

from collections.abc import Mapping

from tasks.core import artifact
from tasks.core.errors import ArtifactError, NothingFitsError
from tasks.core.findings import Footprint, Worth
from tasks.core.metrics import HIGHER, cost
from tasks.core.results import Bench, Candidate, Chosen, Evaluation, Timing
from tasks.evidence import harm, ties
from tasks.evidence.bounds import ESTIMATE, bounded, uncertain
from tasks.evidence.portability import disagreement
from tasks.evidence.shortfall import explain, gaps
from tasks.evidence.stats import pareto_front
from tasks.evidence.worth import MILLION, request
from tasks.plan.schema import ChooseBlock, Settings
from tasks.plan.worth import WorthBlock

RATIOS = ("latency_ratio", "latency_p95_ratio", "latency_p99_ratio")


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
    worth = {name: worth_of(timed[name], bench.joules_per_row.get(name), choose.worth) for name in names}
    candidates = {
        name: candidate(seen[name], timed[name], worth[name], bench.footprints[name], choose) for name in names
    }
    fitting = [name for name in names if candidates[name].fits]
    if not fitting:
        raise NothingFitsError(explain(candidates, choose.at_most.items(), choose.at_least.items()))
    best = min(
        fitting,
        key=lambda name: (cost(choose.prefer, candidates[name].values[choose.prefer]), seen[name].size_bytes, name),
    )
    rivals = {name: timed[name] for name in fitting if name != best}
    tied = ties.tied(choose.prefer, timed[best], rivals)
    points = {name: tuple(candidates[name].values[axis] for axis in choose.axes) for name in names}
    found = Chosen(
        variant=best,
        reference=choose.reference,
        prefer=choose.prefer,
        axes=choose.axes,
        front=pareto_front(points, maximise=[axis in HIGHER for axis in choose.axes]),
        candidates=candidates,
        tied=tuple(tied),
        worth=worth,
    )
    artifact.write_json(artifact.CHOSEN, found)
    tell(found, len(fitting))
    if tied:
        print(ties.sentence(choose.prefer, best, tied))


def tell(found: Chosen, fitting: int) -> None:
    """Print the choice, and what was barred."""
    best, candidates = found.variant, found.candidates
    for name, one in candidates.items():
        if one.barred:
            print(f"barred: {name}: on val it {one.barred}")
    wanted = "greatest" if found.prefer in HIGHER else "smallest"
    print(f"chosen: {best}, the {wanted} {found.prefer} of the {fitting} of {len(candidates)} that keep the budget")
    if best == found.reference:
        print(f"{best} is the reference itself: no compressed variant within the budget is better")


def worth_of(timing: Timing, joules: float | None, block: WorthBlock) -> Worth:
    """What a request costs at that timing; `joules` as the processor counted them, None where it could not be asked."""
    assumed = block.model_dump(exclude={"currency", "run_energy"})
    price, energy, grams = request(timing.rows_per_s, timing.threads, joules, **assumed)
    return Worth(
        cost_per_million=price * MILLION,
        currency=block.currency,
        joules_per_request=energy,
        joules_from="estimate" if joules is None else "RAPL",
        grams_co2_per_million=grams * MILLION,
    )


def candidate(seen: Evaluation, timing: Timing, worth: Worth, foot: Footprint, choose: ChooseBlock) -> Candidate:
    """A variant with its values, the gaps to the bounds, and why it is barred."""
    figures = bounded(uncertain(seen.val_harm, timing))
    values = values_of(seen, timing, worth, foot, figures)
    collapsed = None if choose.allow_collapse or seen.variant == choose.reference else harm.collapse(seen.val_harm)
    upper = {name: figures[name] for name in values if name in figures}
    return Candidate(
        values=values,
        upper=upper,
        gaps=gaps({**values, **figures}, choose.at_most.items(), choose.at_least.items()),
        barred=collapsed or "",
    )


def values_of(
    seen: Evaluation, timing: Timing, worth: Worth, foot: Footprint, figures: Mapping[str, float]
) -> dict[str, float]:
    """Every metric that a plan may bound or prefer, as measured; quality on `val`."""
    return {
        "accuracy": seen.val.accuracy,
        "accuracy_drop": figures["accuracy_drop" + ESTIMATE],
        "worst_class_drop": figures["worst_class_drop" + ESTIMATE],
        "macro_f1": seen.val.macro_f1,
        "agreement": seen.val.agreement,
        "calibration_error": seen.val.calibration_error,
        "size_mb": seen.size_bytes / 1e6,
        "parameters": float(seen.parameters),
        "macs": float(seen.macs),
        "latency_p50_ms": timing.p50_ms,
        "latency_p95_ms": timing.p95_ms,
        "latency_p99_ms": timing.p99_ms,
        **{ratio: figures[ratio + ESTIMATE] for ratio in RATIOS},
        "rows_per_s": timing.rows_per_s,
        "cold_start_ms": foot.cold_start_ms.value,
        "peak_memory_mb": foot.peak_memory_mb,
        "flips": seen.val_harm.flips,
        "portability_disagreement": disagreement(seen.portability),
        "cost_per_million": worth.cost_per_million,
        "joules_per_request": worth.joules_per_request,
        "grams_co2_per_million": worth.grams_co2_per_million,
    }
