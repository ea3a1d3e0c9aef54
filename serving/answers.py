"""Every request that wants an answer: at most so many at once, each within its time, each fault named and counted."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from starlette.types import Receive, Scope, Send

from serving import metrics
from serving.answer import Case, Form, Reply, finish, prepare, whole
from serving.ask import VARIANT, Gone, Headers, forced_role, whole_body
from serving.live import Live
from serving.pace import light
from serving.package import Role
from serving.refusal import Refused
from serving.reply import fail, give, refuse
from serving.shadow import Shadow
from serving.shapes import Rollout
from serving.ticket import Tickets

LOG = logging.getLogger("bentoml.stillroom")


class Answers:
    """Answers requests by what `live` gives at their beginning, whatever replaces it meanwhile."""

    def __init__(
        self, rollout: Rollout, live: Callable[[], Live], shadow: Shadow, tickets: Tickets | None = None
    ) -> None:
        self._live, self._shadow, self._tickets = live, shadow, tickets
        self._timeout_s = rollout.limits.timeout_s
        self.most = -(-rollout.limits.concurrency // rollout.workers)  # at once, in this worker
        self._in_flight = 0
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        # No more at once than there are processors for: the rest wait, where a time limit can still drop them.
        self._threads = ThreadPoolExecutor(max(1, cores // (rollout.workers * rollout.threads)), "answer")

    async def answer(self, form: Form, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one POST. Never raises for what is wrong with it, nor for what is wrong here."""
        live = self._live()
        if self._in_flight >= self.most:
            await refuse(live, None, Refused(f"requests at once: {self._in_flight}; allowed: {self.most}", 429), send)
            return
        self._in_flight += 1
        metrics.IN_FLIGHT.inc()
        try:
            await self._answer(live, form, dict(scope["headers"]), receive, send)
        except Gone:
            pass
        finally:
            self._in_flight -= 1
            metrics.IN_FLIGHT.dec()

    async def _answer(self, live: Live, form: Form, headers: Headers, receive: Receive, send: Send) -> None:
        case: Case | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                body = await whole_body(receive, headers, live.package.rollout.limits.body_bytes)
                case = Case(live, form, headers, body, _forced(form, headers), time.perf_counter())
                await asyncio.sleep(0)  # those who wait are counted before this one makes them wait
                reply = await self._work(case)
        except Refused as e:
            await refuse(live, case, e, send)
        except TimeoutError:
            await self._too_late(live, case, send)
        except Gone:
            raise
        except Exception:
            LOG.exception("a request failed")
            await fail(live, case, 500, "the service failed; its log says why", send)
        else:
            await give(case, reply, self._tickets, send)

    async def _work(self, case: Case) -> Reply:
        engine = case.live.engine
        if not light(case.body, engine.tokens is not None):
            return await self._in_thread(whole, case)
        role, asked = prepare(case)
        if case.kept is not None or engine.pace.quick(role, asked.rows):
            return finish(case, self._shadow)
        return await self._in_thread(finish, case)

    async def _in_thread(self, work: Callable[[Case, Shadow], Reply], case: Case) -> Reply:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, case, self._shadow)

    async def _too_late(self, live: Live, case: Case | None, send: Send) -> None:
        if case is None:
            await refuse(live, None, Refused(f"body: not whole within {self._timeout_s:g} seconds", 408), send)
            return
        case.late = True
        await fail(live, case, 504, f"no answer within {self._timeout_s:g} seconds", send)


class Answering:
    """The ASGI app that answers what is posted in one form."""

    def __init__(self, answers: Answers, form: Form) -> None:
        self._answers, self._form = answers, form

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one POST."""
        await self._answers.answer(self._form, scope, receive, send)


def _forced(form: Form, headers: Headers) -> Role | None:
    """Whom the client wants to be answered by, if anyone."""
    by_header = forced_role(headers)
    if by_header is not None and form.role not in (None, by_header):
        raise Refused(f"{VARIANT}: {by_header!r}; the path says {form.role}")
    return form.role or by_header
