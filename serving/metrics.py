"""What Prometheus can read at /metrics, beside BentoML's own figures.

One worker is one process, so only kinds that prometheus_client can add up over processes are used; `Info` is not one,
hence a gauge that is always 1. BentoML's buckets start at 5 ms, too coarse for small models.
"""

from __future__ import annotations

from functools import cache
from itertools import count
from typing import NamedTuple

from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
ONE_IN = 4
_turns = count()

REQUESTS = Counter(
    "stillroom_requests",
    "Answers of /predict and of /v2's infer, and faults of any path. `variant` is control or treatment, or none where"
    " the request was refused before that.",
    ("variant", "status"),
)
ROWS = Counter("stillroom_rows", "Rows answered.", ("variant",))
DURATION = Histogram(
    "stillroom_request_duration_seconds",
    "From the whole body being there to the answer being ready, for answered requests.",
    ("variant",),
    buckets=SECONDS,
)
STAGE = Histogram(
    "stillroom_stage_duration_seconds",
    "Parts of an answered request: network (every call of it) and, of one request in four, wait (for the event loop and"
    " a thread), decode (parse, check, preprocess) and encode (the answer).",
    ("variant", "stage"),
    buckets=(0.00002, 0.00005, 0.0001, *SECONDS),
)
FEEDBACK = Counter(
    "stillroom_feedback_rows",
    "Answered rows whose label came back, by whether the answer was right: right or wrong.",
    ("variant", "outcome"),
)
MODEL = Gauge(
    "stillroom_model_info",
    "Always 1: which model plays which role.",
    ("variant", "model", "sha256"),
    multiprocess_mode="mostrecent",  # a worker that was killed leaves its figures behind
)
SHARE = Gauge("stillroom_treatment_share", "Share of users who get the treatment.", multiprocess_mode="mostrecent")
SHADOW = Counter(
    "stillroom_shadow_rows",
    "Rows of the treatment meant for comparison with the full model: agreed, disagreed, dropped or failed.",
    ("outcome",),
)
SHADOW_KL = Counter("stillroom_shadow_kl_nats", "Sum over compared rows of KL(control || treatment), in nats.")
FLIPS = Counter("stillroom_shadow_flips", "Compared rows whose label changed, by the full model's label.", ("label",))
SHADOW_QUEUE = Gauge("stillroom_shadow_queue_rows", "Rows that wait for comparison.", multiprocess_mode="livesum")
CPU = Gauge("stillroom_process_cpu_seconds", "Processor time of the workers that live.", multiprocess_mode="livesum")
MEMORY = Gauge("stillroom_process_resident_bytes", "Memory of the workers that live.", multiprocess_mode="livesum")
GENERATION = Gauge(
    "stillroom_generation", "Generation of the control row that is served.", multiprocess_mode="mostrecent"
)
CACHE = Counter("stillroom_cache_lookups", "Requests looked up among kept answers: hit or miss.", ("outcome",))
IN_FLIGHT = Gauge("stillroom_requests_in_flight", "Requests that wait for their answer.", multiprocess_mode="livesum")


class Of(NamedTuple):
    """The metrics of one variant: looking them up costs as much as counting does."""

    duration: Histogram
    wait: Histogram
    decode: Histogram
    network: Histogram
    encode: Histogram
    rows: Counter
    ok: Counter


def tells_parts() -> bool:
    """Whether this request tells how long its parts took. Not all do: a histogram costs 3 microseconds."""
    return next(_turns) % ONE_IN == 0


@cache
def of(role: str) -> Of:
    """`role` is control or treatment. Not before the process has forked: every process has files of its own."""
    wait, decode, network, encode = (STAGE.labels(role, stage) for stage in ("wait", "decode", "network", "encode"))
    return Of(DURATION.labels(role), wait, decode, network, encode, ROWS.labels(role), REQUESTS.labels(role, 200))


@cache
def cache_lookups(outcome: str) -> Counter:
    """Of hit or miss."""
    return CACHE.labels(outcome)
