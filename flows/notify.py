"""How a nightly run ended, for whoever asked to be told: one POST of JSON to a webhook."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun, State
    from prefect.flows import Flow, FlowStateHook

TIMEOUT_S = 10
ATTEMPTS = 3
log = logging.getLogger("stillroom.notify")


def message(flow: str, run: str, state: State, url: str) -> dict[str, str]:
    """The body: `text` for chat webhooks, the rest for programs. A long message is cut at 2,000 characters."""
    said = str(state.message or "")[:2000]
    outcome = str(state.name)
    return {
        "text": f"{flow} {run}: {outcome}" + (f"\n{said}" if said else ""),
        "flow": flow,
        "run": run,
        "outcome": outcome,
        "message": said,
        "url": url,
    }


def post(url: str, body: dict[str, str]) -> bool:
    """Send it, in a few attempts; whether one got through. A webhook that is away must not fail the run."""
    data = json.dumps(body).encode()
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with urlopen(
                Request(url, data=data, headers={"Content-Type": "application/json"}), timeout=TIMEOUT_S
            ) as answer:
                return bool(answer.status < 300)
        except (OSError, ValueError) as e:  # URLError and HTTPError are OSErrors
            log.warning("webhook, attempt %d of %d: %s", attempt, ATTEMPTS, e)
    return False


def on_end(webhook: Callable[[FlowRun], str]) -> FlowStateHook[..., Any]:
    """A hook for a flow's end; `webhook` gives the address for a run, empty for none."""

    def told(flow: Flow[..., Any], flow_run: FlowRun, state: State) -> None:
        if url := webhook(flow_run):
            post(url, message(flow.name, flow_run.name, state, _page(flow_run)))

    return told


def _page(run: FlowRun) -> str:
    from prefect.settings import PREFECT_UI_URL

    base = PREFECT_UI_URL.value()
    return f"{base}/runs/flow-run/{run.id}" if base else ""
