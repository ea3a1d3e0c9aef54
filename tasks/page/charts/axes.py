"""The axes that the scatter offers: every measurement that all variants have, with its unit in its name."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.page.gathered import Evidence

Axes = Mapping[str, tuple[float, ...]]


def axes(evidence: Evidence) -> Axes:
    """{label: value of each variant in tree order}; the first two are those that the page begins with."""
    reports, timings = list(evidence.reports.values()), list(evidence.timings.values())
    worst = (max((drop.value for drop in r.harm.recall_drop.values()), default=0.0) for r in reports)
    return {
        "latency p50, ms": tuple(t.p50_ms for t in timings),
        "accuracy on test, %": tuple(100 * r.test.accuracy for r in reports),
        "size, MB": tuple(r.size_bytes / 1e6 for r in reports),
        "latency ratio": tuple(t.ratio.value for t in timings),
        "latency p95, ms": tuple(t.p95_ms for t in timings),
        "throughput, rows/s": tuple(t.rows_per_s for t in timings),
        "worst class's loss of recall, points": tuple(100 * loss for loss in worst),
        "parameters": tuple(float(r.parameters) for r in reports),
        "MACs": tuple(float(r.macs) for r in reports),
        **_worth(evidence),
    }


def _worth(evidence: Evidence) -> Axes:
    """Price, energy and carbon; none where a row has no worth."""
    known = [worth for name in evidence.reports if (worth := evidence.chosen.worth.get(name))]
    if not known or len(known) < len(evidence.reports):
        return {}
    return {
        f"{known[0].currency} per million requests": tuple(w.cost_per_million for w in known),
        "joules per request": tuple(w.joules_per_request for w in known),
        "g CO₂ per million requests": tuple(w.grams_co2_per_million for w in known),
    }
