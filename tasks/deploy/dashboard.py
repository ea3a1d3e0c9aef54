"""A Grafana dashboard over the service's metrics: `Dashboards > New > Import` takes the file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Literal

from tasks.deploy import queries
from tasks.deploy.grafana import Dashboard, Defaults, Fields, Panel, Place, Query, Templating, Unit, Variable

WIDTH, HEIGHT = 8, 8  # of a panel; a row has 24 columns


def dashboard() -> str:
    """The dashboard, as JSON."""
    made = Dashboard(
        uid="stillroom",
        title="Stillroom",
        tags=("stillroom",),
        schema_version=39,
        refresh="10s",
        time={"from": "now-1h", "to": "now"},
        templating=Templating(list=(Variable(name="datasource", label="Prometheus"),)),
        panels=tuple(_panels()),
    )
    return json.dumps(made.model_dump(mode="json", by_alias=True, exclude_none=True), indent=2) + "\n"


def read_dashboard(text: str) -> Dashboard:
    """Check a dashboard; ValidationError names every key that is unknown or wrong."""
    return Dashboard.model_validate_json(text)


Kind = Literal["timeseries", "bargauge"]
Lines = tuple[tuple[str, str], ...]  # (query, legend)


def _panels() -> Iterator[Panel]:
    for k, (title, about, unit, kind, lines) in enumerate(_CHARTS):
        place = Place(h=HEIGHT, w=WIDTH, x=k % 3 * WIDTH, y=k // 3 * HEIGHT)
        targets = tuple(Query(ref_id="ABCDEF"[i], expr=q, legend_format=name) for i, (q, name) in enumerate(lines))
        fields = Fields(defaults=Defaults(unit=unit))
        yield Panel(
            id=k + 1, type=kind, title=title, description=about, grid_pos=place, field_config=fields, targets=targets
        )


_BY = "{{variant}}"
_P95 = ((queries.quantile_s(0.95, by="variant"), _BY),)
_OTHERS = (
    (queries.quantile_s(0.5, by="variant"), f"p50 {_BY}"),
    (queries.quantile_s(0.99, by="variant"), f"p99 {_BY}"),
)
_PARTS = ((queries.STAGES_P95_S, f"{{{{stage}}}}, {_BY}"),)
_FAULTS = ((queries.ERRORS, "5xx"), (queries.REFUSALS, "4xx"))
_ROWS = ((queries.OUTCOMES, "{{outcome}}"), (queries.WAITING, "waiting"))
_HITS = ((queries.HITS, "hits"),)
_DECIDED = ((queries.DECISIONS, "{{kind}} by {{by}}"), (queries.STAGE, "stage"))
_CHARTS: tuple[tuple[str, str, Unit, Kind, Lines], ...] = (
    ("Requests", "Answers a second.", "reqps", "timeseries", ((queries.REQUESTS, _BY),)),
    ("p95", "95 % of the answers take at most this long.", "s", "timeseries", _P95),
    ("p50 and p99", "Half, and 99 %, of the answers take at most this long.", "s", "timeseries", _OTHERS),
    ("Share", "Of users who get the treatment.", "percentunit", "timeseries", ((queries.SHARE, "treatment"),)),
    ("Faults", "Of all answers.", "percentunit", "timeseries", _FAULTS),
    (
        "Disagreement",
        "Of rows compared with the control.",
        "percentunit",
        "timeseries",
        ((queries.DISAGREEMENT, "rows"),),
    ),
    ("Divergence", "KL(control || treatment), nats a row.", "none", "timeseries", ((queries.DIVERGENCE, "KL"),)),
    ("Flips", "Rows a second, by the control's label.", "short", "bargauge", ((queries.FLIPS, "{{label}}"),)),
    ("Right", "Of answers whose label came back.", "percentunit", "timeseries", ((queries.RIGHT, _BY),)),
    ("Drift", "PSI of each feature from val.", "none", "timeseries", ((queries.PSI, "{{feature}}"),)),
    ("Harm", "Rules of the judge that found harm: 1.", "none", "timeseries", ((queries.FOUND_HARM, "{{rule}}"),)),
    ("Decisions", "In an hour, by the judge and by hand, and the stage.", "short", "timeseries", _DECIDED),
    ("Comparisons", "Rows a second, and rows that wait.", "short", "timeseries", _ROWS),
    ("Cache", "Of looked-up requests: those whose answer was kept.", "percentunit", "timeseries", _HITS),
    ("Processors", "Busy ones, all workers.", "short", "timeseries", ((queries.BUSY, "busy"),)),
    ("Memory", "Resident, all workers.", "bytes", "timeseries", ((queries.RESIDENT, "resident"),)),
    ("Stages", "Where an answer's time goes: p95 of each part.", "s", "timeseries", _PARTS),
    ("In flight", "Requests that wait for their answer.", "short", "timeseries", ((queries.IN_FLIGHT, "requests"),)),
    ("Distance", "Kolmogorov-Smirnov, each feature from val.", "none", "timeseries", ((queries.KS, "{{feature}}"),)),
    (
        "Workers",
        "Seen lately; behind the row; with an error.",
        "short",
        "timeseries",
        ((queries.WORKERS, "{{state}}"),),
    ),
    ("Keeper", "Since it judged last.", "s", "timeseries", ((queries.UNJUDGED_S, "since"),)),
    ("Letters", "Of the keeper, in an hour.", "short", "timeseries", ((queries.LETTERS, "{{to}} {{outcome}}"),)),
)
