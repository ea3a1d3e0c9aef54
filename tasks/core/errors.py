"""Errors meant for people.

StillroomError              printed as its message alone, exit status 1
├── PlanError               a file under params/ is wrong; exit status 2 (tasks.plan)
├── DataError               the raw data cannot be read, or break a rule
├── ArtifactError           a file under artifacts/ or reports/ is missing or does not fit
├── TechniqueError          a technique cannot do what its row asks
├── NothingFitsError        no variant meets the budget
├── GateError               a candidate may not be promoted
└── KeeperError             the keeper of the rollout is away, or refuses a change

A message says where, what was found, what is allowed and, for names, the nearest right one.
Anything else that escapes is a fault of Stillroom and keeps its traceback.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class StillroomError(Exception):
    """Base of every error that a person can mend; carries the exit status."""

    exit_status = 1


class PlanError(StillroomError):
    """A file under params/ is wrong; the message holds every problem found, one a line."""

    exit_status = 2


class DataError(StillroomError):
    """The raw data cannot be read, or break a rule of expectations.yaml."""


class ArtifactError(StillroomError):
    """A file under artifacts/ or reports/ is missing, damaged, or of another form than asked for."""


class TechniqueError(StillroomError):
    """A technique cannot do what its row asks, for instance because it found nothing to change."""


class NothingFitsError(StillroomError):
    """No variant meets the budget of the plan's `choose` block."""


class GateError(StillroomError):
    """A candidate failed a gate of promotion.yaml, or there is nothing to promote or roll back."""


class KeeperError(StillroomError):
    """The keeper of the rollout is away (`status` 0), or answered with an HTTP status that is none of success."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


def nearest(name: object, allowed: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the closest allowed name, or an empty string when none is close."""
    close = get_close_matches(str(name), list(allowed), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
