"""What was right: labels that clients send back for answers that they got, counted for the variant that gave them.

    POST /feedback {"ticket": "<header X-Stillroom-Ticket of the answer>", "labels": ["cat", null, ...]}

One label a row; null where it is not known. A ticket counts once. Labels for a package that is no longer served are
taken and not counted: they say nothing about what is served now.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from serving import metrics
from serving.live import Live
from serving.refusal import Refused, kind_of
from serving.ticket import Ticket, Tickets

KEYS = ("ticket", "labels")


@dataclass(frozen=True)
class Outcome:
    """`counted` rows had a label, `right` of them the one that was given. `why` says why none was counted."""

    counted: int
    right: int
    why: str = ""


def take(body: bytes, live: Live, tickets: Tickets | None, first_time: Callable[[str], bool]) -> Outcome:
    """Count one client's feedback; Refused says what is wrong with it. `first_time` is True once for each number."""
    if tickets is None:
        raise Refused("feedback: this service gives no tickets; STILLROOM_TICKET_KEY is not set", 403)
    ticket, labels = _read(body, tickets)
    if ticket.package != live.package.manifest_sha256[:16]:
        return Outcome(0, 0, "the package that answered is no longer served")
    for i, label in enumerate(labels):
        if label is not None and label not in live.package.labels:
            shown = ", ".join(live.package.labels[:10]) + (", ..." if len(live.package.labels) > 10 else "")
            raise Refused(f"labels[{i}]: {str(label)[:80]!r}; allowed: {shown}, or null")
    pairs = [(given, label) for given, label in zip(ticket.classes, labels, strict=True) if label is not None]
    right = sum(live.package.labels[given] == label for given, label in pairs)
    if not first_time(ticket.number):
        raise Refused("ticket: its labels were sent before; a ticket counts once", 409)
    live.counts.labelled(ticket.role, right, len(pairs) - right)
    metrics.FEEDBACK.labels(ticket.role, "right").inc(right)
    metrics.FEEDBACK.labels(ticket.role, "wrong").inc(len(pairs) - right)
    return Outcome(len(pairs), right)


def _read(body: bytes, tickets: Tickets) -> tuple[Ticket, list[Any]]:
    """The ticket and as many labels, whatever they are."""
    try:
        asked: Any = orjson.loads(body)
    except orjson.JSONDecodeError as e:
        raise Refused(f"body: not JSON: {e}", 400) from None
    if not isinstance(asked, dict) or set(asked) != set(KEYS):
        found = f"keys {sorted(asked)[:5]}" if isinstance(asked, dict) else kind_of(asked)
        raise Refused(f'body: is {found}; allowed: {{"ticket": "...", "labels": [...]}}')
    if not isinstance(asked["ticket"], str):
        raise Refused(f"ticket: is {kind_of(asked['ticket'])}; allowed: a string")
    ticket, labels = tickets.read(asked["ticket"]), asked["labels"]
    if not isinstance(labels, list) or len(labels) != len(ticket.classes):
        found = f"{len(labels)} labels" if isinstance(labels, list) else kind_of(labels)
        raise Refused(f"labels: {found}; allowed: a list of {len(ticket.classes)}, one a row of the answer")
    return ticket, labels
