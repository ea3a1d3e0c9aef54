"""A request on its way from a body to an answer, by one snapshot: decode, route, infer, count.

Two steps, so that the caller may take a cheap one where it stands and an expensive one in a thread. The forms of a body
and of its answer (JSON, raw rows, the Open Inference Protocol) differ in `Form` alone; all else is the same for each.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from serving import metrics
from serving.ask import Headers
from serving.cache import key_of
from serving.inputs import Asked
from serving.live import Live
from serving.package import Role
from serving.shadow import Shadow

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Answered:
    """N rows: who answered, the probabilities (N, C), and the class of each row."""

    live: Live
    role: Role
    shares: Array
    classes: list[int]


@dataclass(frozen=True)
class Reply:
    """What the client gets, and headers beyond those that every answer has."""

    content: bytes
    media_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Form(Protocol):
    """How rows are written in a body, and an answer in a reply."""

    role: Role | None  # who answers, where the form itself says so

    def read(self, live: Live, headers: Headers, body: bytes) -> Asked:
        """The rows; Refused names what is wrong with the body and what is allowed."""

    def write(self, asked: Asked, answered: Answered) -> Reply:
        """The answer to them."""


@dataclass
class Case:
    """One request. `role` is set once it is known; `late` once nobody waits for the answer any more."""

    live: Live
    form: Form
    headers: Headers
    body: bytes
    forced: Role | None
    start: float  # of `time.perf_counter`, when the whole body was there
    wait_s: float = 0  # when nobody worked on it
    decode_s: float = 0
    decoded: float = 0  # of `time.perf_counter`
    role: Role | None = None
    asked: Asked | None = None
    classes: tuple[int, ...] = ()  # of the answer, a row
    late: bool = False
    key: bytes = b""  # among the kept answers; empty where none are kept
    kept: Array | None = None  # the probabilities (N, C), if they were


def prepare(case: Case) -> tuple[Role, Asked]:
    """Who answers, and the decoded body; Refused when the request is at fault. Looks among the kept answers."""
    begin = time.perf_counter()
    case.asked = case.form.read(case.live, case.headers, case.body)
    case.role = case.forced or case.live.role(case.asked.user_id)
    cache = case.live.engine.cache
    if cache.on:
        case.key = key_of(case.role, case.asked.inputs)
        case.kept = cache.get(case.key)
    case.decoded = time.perf_counter()
    case.wait_s, case.decode_s = begin - case.start, case.decoded - begin
    return case.role, case.asked


def finish(case: Case, shadow: Shadow) -> Reply:
    """Infer, count, and write the answer. One that comes too late for its client has been counted as an error."""
    asked, role, live = case.asked, case.role, case.live
    assert asked is not None and role is not None, "prepare comes first"
    case.wait_s += time.perf_counter() - case.decoded
    shares = _shares(case, role, asked)
    classes: list[int] = shares.argmax(axis=-1).tolist()
    case.classes = tuple(classes)
    inferred = time.perf_counter()
    reply = case.form.write(asked, Answered(live, role, shares, classes))
    if not case.late:
        end = time.perf_counter()
        seconds = end - case.start
        live.counts.answered(role, seconds, shares, classes)
        live.seen.add(asked.inputs)
        of = metrics.of(role)
        of.duration.observe(seconds)
        if metrics.tells_parts():
            of.wait.observe(case.wait_s)
            of.decode.observe(case.decode_s)
            of.encode.observe(end - inferred)
        of.ok.inc()
        if role == "treatment":
            shadow.offer(live, asked.inputs, shares)
    return reply


def _shares(case: Case, role: Role, asked: Asked) -> Array:
    """The probabilities (N, C): those that were kept, or the network's own, to be kept."""
    engine, hit = case.live.engine, case.kept is not None
    if engine.cache.on:
        case.live.counts.cached(hits=int(hit), misses=int(not hit))
        metrics.cache_lookups("hit" if hit else "miss").inc()
    if case.kept is not None:
        return case.kept
    shares = engine.infer(role, asked.inputs)
    if engine.cache.on:
        engine.cache.put(case.key, shares)
    return shares


def whole(case: Case, shadow: Shadow) -> Reply:
    """Both steps."""
    prepare(case)
    return finish(case, shadow)
