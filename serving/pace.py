"""Where a request is worked on: on the event loop when that is quick, in a thread when it is not.

Handing a request to a thread and back costs processor time, and for a small network is not worth it; one on the event
loop keeps probes and time limits waiting for as long as it takes. So each model's own pace decides, as last measured.
"""

from __future__ import annotations

from serving.package import ROLES, Role

LOOP_S = 0.002  # what may be expected to take longer goes to a thread
LOOP_BYTES = 32_768  # of a body that is decoded on the loop
LOOP_TEXT_BYTES = 4096  # likewise, of texts: reading them costs more a byte
KEEP = 0.9  # of what was known before, when a new measurement comes


class Pace:
    """Seconds a row of each role's model, as a moving mean; until a model was measured it counts as slow."""

    def __init__(self) -> None:
        self._row_s: dict[Role, float] = dict.fromkeys(ROLES, float("inf"))

    def measured(self, role: Role, rows: int, seconds: float) -> None:
        """N rows took so long."""
        before, now = self._row_s[role], seconds / rows
        self._row_s[role] = now if before == float("inf") else KEEP * before + (1 - KEEP) * now

    def quick(self, role: Role, rows: int) -> bool:
        """Whether N rows are expected to be done within LOOP_S."""
        return self._row_s[role] * rows <= LOOP_S


def light(body: bytes, texts: bool) -> bool:
    """Whether a body is decoded at once: it is short, and holds no file, which may unpack into a large one."""
    return len(body) <= (LOOP_TEXT_BYTES if texts else LOOP_BYTES) and b'_base64"' not in body
