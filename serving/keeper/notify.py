"""Who is told of what the judge does: a webhook, and a Prefect server, whose automations may start a flow on it.

To the webhook (`notify.webhook`, or STILLROOM_WEBHOOK): one JSON object, whose `text` chat services show as it is.
To Prefect (`notify.prefect_api`, or STILLROOM_PREFECT_API): the events `stillroom.advance`, `stillroom.rollback`,
`stillroom.drift` and `stillroom.alarm` about the resource `stillroom.service`, by POST to its /events.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal
from uuid import uuid4

from pydantic import Field

from serving.control.state import State
from serving.keeper.post import Letter, Post, letter
from serving.shapes import Frozen, Notify

WEBHOOK, PREFECT = "STILLROOM_WEBHOOK", "STILLROOM_PREFECT_API"
Event = Literal["stillroom.advance", "stillroom.rollback", "stillroom.drift", "stillroom.alarm"]
RESOURCE = "stillroom.service"


class Notice(Frozen):
    """Something to tell: `text` in a sentence, the row that it is about, and the numbers behind it."""

    event: Event
    text: str
    at_s: float
    row: State
    numbers: dict[str, float] = Field(default_factory=dict)


class Notifier:
    """Tells whoever is to be told, and returns at once."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment
        self.posts = {"webhook": Post("webhook"), "prefect": Post("prefect")}

    def tell(self, settings: Notify, notice: Notice) -> None:
        """Send to the addresses of `settings`; the environment's win."""
        webhook = self._environment.get(WEBHOOK, settings.webhook)
        prefect = self._environment.get(PREFECT, settings.prefect_api)
        if webhook:
            self.posts["webhook"].send(to_webhook(webhook, notice))
        if prefect:
            self.posts["prefect"].send(to_prefect(prefect, notice, self._environment))

    def close(self) -> None:
        """Tell nothing more."""
        for post in self.posts.values():
            post.close()


def to_webhook(url: str, notice: Notice) -> Letter:
    """The whole notice, flat but for `row` and `numbers`."""
    return letter(url, {**notice.model_dump(mode="json"), "at": _at(notice)}, {})


def to_prefect(api: str, notice: Notice, environment: Mapping[str, str]) -> Letter:
    """An event as Prefect 3 takes it; the key that its own client would use goes with it."""
    headers = {}
    if key := environment.get("PREFECT_API_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    elif pair := environment.get("PREFECT_API_AUTH_STRING"):
        headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
    row = notice.row
    about = {
        "prefect.resource.id": RESOURCE,
        "prefect.resource.name": f"version {row.version}",
        "stillroom.version": row.version,
        "stillroom.generation": str(row.generation),
        "stillroom.package": row.package,
    }
    payload = {"text": notice.text, "numbers": notice.numbers, "row": row.model_dump(mode="json")}
    event = {"id": str(uuid4()), "occurred": _at(notice), "event": notice.event, "resource": about, "payload": payload}
    return letter(f"{api.rstrip('/')}/events", [event], headers)


def _at(notice: Notice) -> str:
    return datetime.fromtimestamp(notice.at_s, UTC).isoformat()
