"""The rollout at a glance: who is served what, how fast, how well, and what the judge makes of it.

    GET /             a page for people, which asks for the other every two seconds
    GET /status.json  `Status`

Counts are those of the current generation, over all workers. Times are read off histograms, as Prometheus does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from serving.control.state import Presence
from serving.control.store import Store, StoreError
from serving.control.tally import ShadowTally, Tally, VariantTally
from serving.keeper.shown import ShadowStatus, Status, VariantStatus, WorkerStatus
from serving.metrics import SECONDS
from serving.refusal import as_json

PAGE = Path(__file__).with_name("status.html")
PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self';"
    " img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
EVENTS = 12
AWAY_S = 5.0  # a worker that was not seen for so long is away
FORGOTTEN_S = 120.0  # and is no longer shown after this


def quantile_ms(counts: Sequence[int], q: float) -> float | None:
    """The `q` quantile of a latency histogram over SECONDS, linear within a bin; null when it is empty.

    What lies beyond the last bound is given as that bound.
    """
    total, passed = sum(counts), 0
    if not total:
        return None
    rank = q * total
    for i, n in enumerate(counts[: len(SECONDS)]):
        if n and passed + n >= rank:
            low = SECONDS[i - 1] if i else 0.0
            return 1000 * (low + (SECONDS[i] - low) * (rank - passed) / n)
        passed += n
    return 1000 * SECONDS[-1]


def of_variant(tally: VariantTally) -> VariantStatus:
    """One variant's counts as figures."""
    bins, labelled = len(tally.confidence), tally.right + tally.wrong
    middles = sum(n * (i + 0.5) / bins for i, n in enumerate(tally.confidence))
    return VariantStatus(
        requests=tally.requests,
        rows=tally.rows,
        errors=tally.errors,
        refused=tally.refused,
        p50_ms=quantile_ms(tally.latency, 0.5),
        p95_ms=quantile_ms(tally.latency, 0.95),
        p99_ms=quantile_ms(tally.latency, 0.99),
        confidence=_share(middles, sum(tally.confidence)),
        labelled=labelled,
        accuracy=_share(tally.right, labelled),
    )


def of_shadow(tally: ShadowTally) -> ShadowStatus:
    """The shadow's counts as figures."""
    return ShadowStatus(
        compared=tally.compared,
        agreement=_share(tally.agreed, tally.compared),
        kl_nats=_share(tally.kl_sum, tally.compared),
        dropped=tally.dropped,
        failed=tally.failed,
        flips=dict(sorted(tally.flips.items(), key=lambda flip: -flip[1])[:10]),
    )


def of_worker(presence: Presence, now_s: float, generation: int) -> WorkerStatus:
    """A worker's last word, `now_s` by the store's clock."""
    age_s = max(0.0, now_s - presence.seen_s)
    return WorkerStatus(
        worker=presence.worker,
        generation=presence.generation,
        follows=presence.generation == generation and not presence.error,
        away=age_s > AWAY_S,
        age_s=age_s,
        error=presence.error,
        rss_mb=presence.rss_mb,
        cpu_s=presence.cpu_s,
    )


def status(store: Store, stages: tuple[float, ...], findings: tuple[Any, ...] = ()) -> Status:
    """Everything, as the store has it now; StoreError when it is away."""
    now_s, row = store.now_s(), store.read()
    generation = row.generation if row is not None else 0
    tally = store.tallies(generation) if row is not None else Tally()
    workers = (of_worker(presence, now_s, generation) for presence in store.presences())
    return Status(
        now_s=now_s,
        state=row,
        stages=stages,
        control=of_variant(tally.control),
        treatment=of_variant(tally.treatment),
        shadow=of_shadow(tally.shadow),
        cache_hit_rate=_share(tally.cache_hits, tally.cache_hits + tally.cache_misses),
        findings=findings,
        workers=tuple(worker for worker in workers if worker.age_s <= FORGOTTEN_S),
        events=store.latest(EVENTS),
    )


def routes(store: Store, stages: tuple[float, ...], findings: Callable[[], tuple[Any, ...]]) -> tuple[BaseRoute, ...]:
    """The two endpoints, for the keeper's port."""
    text = PAGE.read_text(encoding="utf-8")

    def figures(_: Request) -> Response:
        try:
            return as_json(status(store, stages, findings()).model_dump())
        except StoreError as e:
            return as_json({"error": str(e)}, 503)

    def page(_: Request) -> Response:
        return HTMLResponse(text, headers={"Content-Security-Policy": PAGE_POLICY})

    return Route("/status.json", figures, methods=["GET"]), Route("/", page, methods=["GET"])


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
