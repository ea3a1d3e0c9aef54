"""How often what was decided, and by whom, since the keeper started: for Prometheus; the audit log has the rest."""

from __future__ import annotations

from collections import Counter
from typing import Final

from serving.control.state import Kind

# Every pair that there can be begins at 0: Prometheus sees no rise in a series that is new.
KINDS: Final[dict[str, tuple[Kind, ...]]] = {
    "judge": ("advance", "rollback", "alarm"),
    "admin": ("package", "share", "rollback", "hold", "resume"),
    "follower": ("package",),
}


class Decisions:
    """Counts of {(kind, by)}. `by` is the judge, or whose token it was: not the name that an administrator gives."""

    def __init__(self) -> None:
        self._counts = Counter[tuple[str, str]]({(kind, by): 0 for by, kinds in KINDS.items() for kind in kinds})

    def count(self, kind: Kind, by: str) -> None:
        """One more."""
        self._counts[kind, by] += 1

    def so_far(self) -> dict[tuple[str, str], int]:
        """All of them, with those that never were."""
        return dict(self._counts)
