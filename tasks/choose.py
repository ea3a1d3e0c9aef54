"""Chooses the variant to ship: the best by `prefer` among those that keep the budget, judged on `val` alone.

It never looks at `test`: a number that has helped to choose is no longer an honest one to report.
"""

from __future__ import annotations

from collections.abc import Mapping

from tasks.core import artifact
from tasks.core.errors import ArtifactError, NothingFitsError
from tasks.core.results import Bench, Candidate, Chosen, Evaluation, Quality, Timing
from tasks.evidence.stats import pareto_front
from tasks.plan.schema import BenchBlock, Metric, Settings

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
    timed = {name: timing_of(bench, name, settings.plan.bench) for name in names}
    reference = seen[choose.reference].val
    candidates = {}
    for name in names:
        values = values_of(seen[name], reference, timed[name])
        missed = {key: round(values[key] - bound, EXACT) for key, bound in choose.at_most.items()}
        candidates[name] = Candidate(values=values, gaps={key: gap for key, gap in missed.items() if gap > 0})
    fitting = [name for name in names if not candidates[name].gaps]
    if not fitting:
        raise NothingFitsError(explain(candidates, choose.at_most))
    best = min(fitting, key=lambda name: (candidates[name].values[choose.prefer], seen[name].size_bytes, name))
    points = {name: (seen[name].val.accuracy, seen[name].size_bytes, timed[name].p50_ms) for name in names}
    front = pareto_front(points, maximise=(True, False, False))
    artifact.write_json(
        artifact.CHOSEN,
        Chosen(variant=best, reference=choose.reference, prefer=choose.prefer, front=front, candidates=candidates),
    )
    print(f"chosen: {best}, the smallest {choose.prefer} of the {len(fitting)} of {len(names)} that keep the budget")
    if best == choose.reference:
        print(f"{best} is the reference itself: no compressed variant within the budget is better")


def timing_of(bench: Bench, name: str, block: BenchBlock) -> Timing:
    """The timing that counts: the first thread count and the first batch size of the plan."""
    threads, batch = block.threads[0], block.batch[0]
    for timing in bench.timings.get(name, ()):
        if (timing.threads, timing.batch) == (threads, batch):
            return timing
    raise ArtifactError(
        f"{artifact.BENCH}: no entry for {name!r} at {threads} thread(s) and batch {batch}; `stillroom run` measures it"
    )


def values_of(seen: Evaluation, reference: Quality, timing: Timing) -> dict[str, float]:
    """Every metric that a plan may bound or prefer; quality on `val`."""
    return {
        "accuracy_drop": round(reference.accuracy - seen.val.accuracy, EXACT),
        "worst_class_drop": round(worst_class_drop(seen.val, reference), EXACT),
        "size_mb": seen.size_bytes / 1e6,
        "parameters": float(seen.parameters),
        "macs": float(seen.macs),
        "latency_p50_ms": timing.p50_ms,
        "latency_p95_ms": timing.p95_ms,
        "latency_ratio": timing.ratio.value,
    }


def worst_class_drop(mine: Quality, reference: Quality) -> float:
    """The largest loss of recall over the classes, reference minus variant; negative when every class gained."""
    return max((r - mine.per_class_recall[name] for name, r in reference.per_class_recall.items()), default=0.0)


def explain(candidates: dict[str, Candidate], bounds: Mapping[Metric, float]) -> str:
    """One line a variant: each bound that it misses, and by how much."""
    lines = ["no variant keeps the budget of `choose: at_most` in params/plan.yaml:"]
    for name, candidate in candidates.items():
        misses = (
            f"{key} {candidate.values[key]:.4g}, at most {bound:.4g} (misses by {gap:.4g})"
            for key, bound in bounds.items()
            if (gap := candidate.gaps.get(key))
        )
        lines.append(f"  {name}: {'; '.join(misses)}")
    return "\n".join(lines)
