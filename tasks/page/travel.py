"""Whether INT8 files answer alike on processors without VNNI, as a table: one row for every file that holds INT8."""

from __future__ import annotations

from tasks.core.findings import Portability
from tasks.page.chart import Numbers
from tasks.page.gathered import Evidence

COLUMNS = (
    "variant",
    "without VNNI",
    "INT8 layers at risk",
    "rows asked",
    "other answers, %",
    "logits move, of their spread",
)


def table(evidence: Evidence) -> Numbers:
    """No rows where no variant multiplies 8-bit integers."""
    judged = ((name, report.portability) for name, report in evidence.reports.items())
    return Numbers(COLUMNS, tuple((name, *_cells(found)) for name, found in judged if found is not None))


def _cells(found: Portability) -> tuple[str, ...]:
    asked = (str(found.rows), _percent(found.disagreement), _share(found.logits_difference))
    nothing = ("none needed",) if found.verdict == "portable by proof" else ("–",)
    return (
        found.verdict,
        f"{len(found.layers_at_risk)} of {found.layers}",
        *(asked if found.rows else (*nothing, "–", "–")),
    )


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.2f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2g}"
