"""How `stillroom status` looks at the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from tasks.live.glance import Answers, Found, Glance, Process, Shadow
from tasks.live.shapes import Event, Row

MODES = {"rolling": "going up by itself", "rolled_back": "rolled back", "held": "held by hand"}
STYLES = {"within": "green", "unclear": "yellow", "harm": "bold red"}
NONE = "–"


def glance(now: Glance, before: Glance | None = None) -> RenderableType:
    """Everything on one screen; `before`, an earlier look, gives the requests a second."""
    parts: list[RenderableType] = [_headline(now.state, now.stages)]
    if now.findings:
        parts.append(_findings(now.findings))
    parts.append(_answers(now, before))
    if now.cache_hit_rate is not None:
        parts.append(Text(f"{now.cache_hit_rate:.1%} of the requests looked up in the cache were there\n"))
    if now.shadow.compared or now.shadow.dropped or now.shadow.failed:
        parts.append(_shadow(now.shadow))
    here = [worker for worker in now.workers if not worker.away]
    parts.append(_workers(here) if here else Text("no worker follows", style="yellow"))
    if now.events:
        parts.append(_events(now.events))
    return Group(*parts)


def _headline(row: Row | None, stages: tuple[float, ...]) -> RenderableType:
    if row is None:
        return Text("there is no row yet: nothing was started over this control plane", style="yellow")
    stage = f", stage {row.stage + 1} of {len(stages)}" if row.stage >= 0 else ""
    mode = MODES.get(row.mode, row.mode)
    why = f": {row.reason}" if row.reason else ""
    return Group(
        Text(f"version {row.version} for {row.share:.0%} of the users, {mode}{stage}", style="bold"),
        Text(f"generation {row.generation} since {_at(row.since_s)}, by {row.by}{why}\n{row.package}", style="dim"),
    )


def _findings(findings: Iterable[Found]) -> Table:
    table = _table("rule", "", "what the judge finds")
    for one in findings:
        outcome = Text(one.outcome, style=STYLES.get(one.outcome, ""))
        table.add_row(escape(one.rule.replace("_", " ")), outcome, escape(one.sentence))
    return table


def _answers(now: Glance, before: Glance | None) -> Table:
    table = _table("answers", "*requests", "*per s", "*p50 ms", "*p95 ms", "*p99 ms", "*5xx", "*4xx", "*sure", "*right")
    old = before if before is not None and _generation(before) == _generation(now) else None
    for name, one in (("control", now.control), ("treatment", now.treatment)):
        past: Answers | None = getattr(old, name) if old is not None else None
        seconds = now.now_s - old.now_s if old is not None else 0.0
        rate = f"{(one.requests - past.requests) / seconds:.1f}" if past is not None and seconds > 0 else NONE
        times = (NONE if ms is None else f"{ms:.2f}" for ms in (one.p50_ms, one.p95_ms, one.p99_ms))
        right = NONE if one.accuracy is None else f"{one.accuracy:.1%} of {one.labelled:,}"
        sure = NONE if one.confidence is None else f"{one.confidence:.1%}"
        table.add_row(name, f"{one.requests:,}", rate, *times, f"{one.errors:,}", f"{one.refused:,}", sure, right)
    return table


def _shadow(shadow: Shadow) -> Table:
    table = _table("*rows compared", "*agreement", "*KL, nats", "*dropped", "*failed", "flips, by the control's label")
    agreement = NONE if shadow.agreement is None else f"{shadow.agreement:.2%}"
    divergence = NONE if shadow.kl_nats is None else f"{shadow.kl_nats:.4f}"
    flips = ", ".join(f"{label} {n:,}" for label, n in shadow.flips.items())
    counts = (f"{shadow.dropped:,}", f"{shadow.failed:,}")
    table.add_row(f"{shadow.compared:,}", agreement, divergence, *counts, escape(flips) or NONE)
    return table


def _workers(workers: Iterable[Process]) -> Table:
    table = _table("worker", "", "*generation", "*MB", "*processor, s")
    for one in workers:
        state = one.error or ("follows" if one.follows else "behind")
        cells = (escape(one.worker), escape(state), f"{one.generation}", f"{one.rss_mb:.0f}", f"{one.cpu_s:.0f}")
        table.add_row(*cells, style="" if one.follows else "yellow")
    return table


def _events(events: Iterable[Event]) -> Table:
    table = _table("at", "what", "by", "why")
    for one in events:
        style = "red" if one.kind in ("rollback", "alarm") else ""
        table.add_row(_at(one.at_s), one.kind, escape(one.actor), escape(one.reason), style=style)
    return table


def _table(*columns: str) -> Table:
    """A plain table; columns that begin with * hold figures."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column.removeprefix("*"), justify="right" if column.startswith("*") else "left")
    return table


def _generation(glance: Glance) -> int:
    return glance.state.generation if glance.state is not None else 0


def _at(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s).astimezone().isoformat(sep=" ", timespec="seconds")[:19]
