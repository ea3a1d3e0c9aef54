"""From a body to its answer, by one snapshot: decode, route, infer, count. Runs in a thread."""

from __future__ import annotations

import time

from serving import inputs
from serving.live import Live
from serving.package import Role
from serving.refusal import Refused
from serving.shadow import Shadow


def answer(live: Live, shadow: Shadow, body: bytes, forced: Role | None, start: float) -> tuple[Role, bytes]:
    """The role that answers, and its JSON. `start` is on the clock of `time.perf_counter`.

    Counted here: an answer that comes too late for its client counts too.
    """
    role = forced
    package = live.package
    try:
        asked = inputs.read(body, package.preprocess, rows_max=package.rollout.limits.rows, tokens=live.engine.tokens)
        role = forced or live.role(asked.user_id)
        shares = live.engine.infer(role, asked.inputs)
        content = live.engine.json(role, shares)
    except Refused:
        raise
    except Exception:
        live.counts.failed(role)
        raise
    live.counts.answered(role, time.perf_counter() - start, shares)
    if role == "treatment":
        shadow.offer(live, asked.inputs, shares)
    return role, content
