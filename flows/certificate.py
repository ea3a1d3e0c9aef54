"""The nightly run's certificate: what was chosen, and what the evidence says of it, as Markdown for Prefect's page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tasks.core.errors import ArtifactError

if TYPE_CHECKING:
    from tasks.core.results import Bench, Evaluation, Timing


def certificate() -> tuple[str, str]:
    """The chosen variant and its certificate. ArtifactError when evidence is missing or is about another model."""
    from tasks.core import artifact
    from tasks.core.results import Bench, Chosen, Evaluation, PackageManifest

    chosen = artifact.read_json(artifact.CHOSEN, Chosen)
    bench = artifact.read_json(artifact.BENCH, Bench)
    manifest = artifact.read_json(artifact.PACKAGE / "manifest.json", PackageManifest)
    if manifest.treatment != chosen.variant:
        raise ArtifactError(
            f"{artifact.PACKAGE}: holds {manifest.treatment!r}, but {artifact.CHOSEN} says {chosen.variant!r};"
            " `stillroom run` brings them together"
        )
    ours = artifact.read_json(artifact.evaluation_file(chosen.variant), Evaluation)
    return chosen.variant, markdown(ours, chosen.reference, bench)


def markdown(ours: Evaluation, reference: str, bench: Bench) -> str:
    """A heading, the harm in one line, and one row for each point that the certificate holds."""
    drop = ours.harm.accuracy_drop
    lines = [
        f"## {ours.variant} against {reference}",
        "",
        f"Accuracy on test {ours.test.accuracy:.2%}; lost {100 * drop.value:.2f} points"
        f" [{100 * drop.low:.2f}, {100 * drop.high:.2f}], {ours.size_bytes / 1e6:.3f} MB.",
        "",
        f"| engine, threads, batch | latency ratio, {bench.confidence:.3%} each | verdict | p95 | ratio of p95 |",
        "| --- | --- | --- | --- | --- |",
        *(_row(timing) for timing in bench.timings.get(ours.variant, ())),
        "",
        f"Measured on {bench.machine.cpu}; all {bench.comparisons} comparisons hold together with 95 %.",
        f"The whole page: `{Path('results/report.html')}`.",
    ]
    return "\n".join(lines)


def _row(timing: Timing) -> str:
    where = f"{timing.engine}, {timing.threads}, {timing.batch}"
    ratio, tail = (f"{r.value:.3f} [{r.low:.3f}, {r.high:.3f}]" for r in (timing.ratio, timing.p95_ratio))
    return f"| {where} | {ratio} | {timing.verdict} | {timing.p95_ms:.2f} ms | {tail} |"
