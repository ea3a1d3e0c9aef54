"""Brings everything together for a reader: the table, what each step did, and one self-contained page.

Accuracy here is on `test`, which had no part in choosing. The page loads nothing from anywhere.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from tasks.core import artifact
from tasks.core.contract import Card
from tasks.core.errors import ArtifactError
from tasks.core.results import Bench, Chosen, Evaluation, Summary, SummaryRow, Timing
from tasks.evidence import verdict
from tasks.evidence.harm import sentences
from tasks.evidence.scatter import Point, scatter_svg
from tasks.evidence.waterfall import waterfalls
from tasks.intake.validation import Validation
from tasks.plan.schema import Plan, Settings, Variant

TEMPLATE = Path(__file__).with_name("report.html.j2")


@dataclass(frozen=True)
class Evidence:
    """All that was written about the plan's variants; mappings by variant name, in tree order."""

    plan: Plan
    depth: Mapping[str, int]
    cards: Mapping[str, Card]
    reports: Mapping[str, Evaluation]
    timings: Mapping[str, Timing]
    bench: Bench
    chosen: Chosen


def run(settings: Settings) -> None:
    """Write summary.json, waterfall.json, pareto.csv and report.html under results/."""
    evidence = gather(settings.plan)
    summary = summarize(evidence)
    artifact.write_json(artifact.SUMMARY, summary)
    artifact.write_json(artifact.WATERFALL, waterfalls(summary))
    write_pareto(evidence, summary)
    artifact.PAGE.write_text(page(evidence, summary), encoding="utf-8")
    print(f"report: {artifact.PAGE} ({artifact.PAGE.stat().st_size / 1000:.0f} kB)")


def in_tree_order(variants: Mapping[str, Variant], parent: str = "data", depth: int = 0) -> Iterator[tuple[str, int]]:
    """(name, depth) of every variant: each right after its parent or its elder siblings' descendants."""
    for name, variant in variants.items():
        if variant.parent == parent:
            yield name, depth
            yield from in_tree_order(variants, name, depth + 1)


def gather(plan: Plan) -> Evidence:
    """Read what the earlier steps wrote; ArtifactError for what is missing or is not of this plan."""
    depth = dict(in_tree_order(plan.variants))
    bench, chosen = artifact.read_json(artifact.BENCH, Bench), artifact.read_json(artifact.CHOSEN, Chosen)
    if set(chosen.candidates) != set(plan.variants) or chosen.reference != plan.choose.reference:
        raise ArtifactError(f"{artifact.CHOSEN}: made from another plan; `stillroom run` makes it anew")
    return Evidence(
        plan=plan,
        depth=depth,
        cards={name: artifact.read_json(artifact.variant_folder(name) / "card.json", Card) for name in depth},
        reports={name: artifact.read_json(artifact.evaluation_file(name), Evaluation) for name in depth},
        timings={name: bench.timing(name, plan.bench.first) for name in depth},
        bench=bench,
        chosen=chosen,
    )


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
            latency_ratio=evidence.timings[name].ratio,
            on_front=name in chosen.front,
            chosen=name == chosen.variant,
        )
        for name, report in evidence.reports.items()
    ]
    threads, batch = plan.bench.threads[0], plan.bench.batch[0]
    return Summary(reference=chosen.reference, chosen=chosen.variant, threads=threads, batch=batch, rows=tuple(rows))


def write_pareto(evidence: Evidence, summary: Summary) -> None:
    """results/pareto.csv, for `dvc plots`; one line a variant."""
    with artifact.PARETO.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow("variant technique accuracy size_mb latency_p50_ms latency_ratio on_front chosen".split())
        for row in summary.rows:
            size_mb, p50_ms = row.size_bytes / 1e6, evidence.timings[row.variant].p50_ms
            flags = (str(row.on_front).lower(), str(row.chosen).lower())
            out.writerow([row.variant, row.technique, row.accuracy, size_mb, p50_ms, row.latency_ratio.value, *flags])


def page(evidence: Evidence, summary: Summary) -> str:
    """The HTML page."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    mine, reference = evidence.reports[summary.chosen], evidence.reports[summary.reference]
    claims = (
        verdict.size(mine.size_bytes, reference.size_bytes),
        verdict.speed(evidence.timings[summary.chosen].ratio),
        verdict.accuracy(mine.test, reference.test),
    )
    points = [
        Point(r.variant, evidence.timings[r.variant].p50_ms, r.accuracy, r.size_bytes, r.on_front, r.chosen)
        for r in summary.rows
    ]
    told = "; ".join(f"{p.name} {p.latency_ms:.3f} ms, {p.accuracy:.2%}, {p.size_bytes / 1e6:.3f} MB" for p in points)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["plain"] = plain
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        e=evidence,
        summary=summary,
        claims=claims,
        changes=verdict.class_changes(mine, reference),
        harm=sentences(mine.harm),
        drops=mine.harm.recall_drop,
        scatter=Markup(scatter_svg(points, "Accuracy on test against latency", told)),
        validation=artifact.read_json(artifact.DATA / "validation.json", Validation),
        speed=verdict.speed,
    )


def plain(value: JsonValue) -> str:
    """A parameter or fact as a person writes it: text as it is, nothing as `none`, the rest as JSON."""
    if isinstance(value, str):
        return value
    return "none" if value in (None, [], {}) else json.dumps(value, ensure_ascii=False)
