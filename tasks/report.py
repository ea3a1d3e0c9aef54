"""Brings everything together for a reader: the table, what each step did, and one self-contained page.

Accuracy here is on `test`, which had no part in choosing. The page loads nothing from anywhere.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping

from tasks.core import artifact
from tasks.core.findings import Interval
from tasks.core.results import Evaluation, Summary, SummaryRow, Timing
from tasks.evidence import verdict
from tasks.evidence.difference import latency_over
from tasks.evidence.harm import collapse
from tasks.evidence.marks import change
from tasks.evidence.waterfall import waterfalls
from tasks.page.cautions import cautions
from tasks.page.gathered import Evidence, gather
from tasks.page.render import render
from tasks.plan.schema import Settings


def run(settings: Settings) -> None:
    """Write summary.json, waterfall.json, pareto.csv and report.html under results/."""
    evidence = gather(settings.plan)
    summary = summarize(evidence)
    artifact.write_json(artifact.SUMMARY, summary)
    artifact.write_json(artifact.WATERFALL, ways := waterfalls(summary))
    write_pareto(evidence, summary)
    artifact.PAGE.write_text(render(settings, evidence, summary, ways), encoding="utf-8")
    print(f"report: {artifact.PAGE} ({artifact.PAGE.stat().st_size / 1000:.0f} kB)")


def summarize(evidence: Evidence) -> Summary:
    """The table, in tree order."""
    plan, chosen = evidence.plan, evidence.chosen
    rows = [
        SummaryRow(
            variant=name,
            parent=plan.variants[name].parent,
            technique=plan.variants[name].technique,
            size_bytes=report.size_bytes,
            accuracy=report.test.accuracy,
            accuracy_drop=evidence.reports[chosen.reference].test.accuracy - report.test.accuracy,
            drop_interval=report.harm.accuracy_drop,
            step_change=step_change(evidence, name),
            step_latency=step_latency(evidence, name),
            latency_ratio=evidence.timings[name].ratio,
            on_front=name in chosen.front,
            chosen=name == chosen.variant,
            collapsed=collapse(report.harm) or "",
        )
        for name, report in evidence.reports.items()
    ]
    told = headline(evidence.reports[chosen.variant], evidence.reports[chosen.reference], evidence.timings)
    names = {"headline": told, "reference": chosen.reference, "chosen": chosen.variant}
    return Summary(**names, cautions=cautions(evidence), **plan.bench.first._asdict(), rows=tuple(rows))


def headline(mine: Evaluation, theirs: Evaluation, timings: Mapping[str, Timing]) -> str:
    """The verdict in one line, as the page and MLflow have it."""
    claims = (verdict.size(mine.size_bytes, theirs.size_bytes), verdict.speed(timings[mine.variant].ratio))
    return verdict.headline(mine.variant, theirs.variant, (*claims, verdict.accuracy(mine, theirs)), mine.harm)


def before(evidence: Evidence, name: str) -> str | None:
    """The row before another on the way from the reference; None for the reference."""
    parent, reference = evidence.plan.variants[name].parent, evidence.chosen.reference
    return None if name == reference else reference if parent == "data" else parent


def step_change(evidence: Evidence, name: str) -> Interval | None:
    """What a row gained over the one before it, row by row; None for the reference."""
    if (earlier := before(evidence, name)) is None:
        return None
    mine = evidence.reports[name]
    return change(mine.marks, evidence.reports[earlier].marks, mine.test.rows)


def step_latency(evidence: Evidence, name: str) -> Interval | None:
    """A row's latency over that of the one before it; over the reference's it is what the benchmark says."""
    earlier, mine = before(evidence, name), evidence.timings[name]
    if earlier is None:
        return None
    return mine.ratio if earlier == evidence.chosen.reference else latency_over(mine, evidence.timings[earlier])


def write_pareto(evidence: Evidence, summary: Summary) -> None:
    """results/pareto.csv, for `dvc plots`; one line a variant."""
    with artifact.PARETO.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow("variant technique accuracy size_mb latency_p50_ms latency_ratio on_front chosen".split())
        for row in summary.rows:
            size_mb, p50_ms = row.size_bytes / 1e6, evidence.timings[row.variant].p50_ms
            flags = (str(row.on_front).lower(), str(row.chosen).lower())
            out.writerow([row.variant, row.technique, row.accuracy, size_mb, p50_ms, row.latency_ratio.value, *flags])
