"""Names in the order in which a person counts: `2` before `10`, `layer 9` before `layer 10`.

For reading only: which class has which id is the source's matter, and never changes with how names are shown.
"""

from __future__ import annotations

import re
from typing import TypeVar

T = TypeVar("T")


def natural(name: str) -> tuple[str | int, ...]:
    """What to sort a name by: its text and its whole numbers, one after the other; a number as a whole has its sign."""
    if re.fullmatch(r"-\d+", name):
        return ("", int(name))
    return tuple(int(part) if k % 2 else part for k, part in enumerate(re.split(r"(\d+)", name)))


def by_name(found: dict[str, T]) -> dict[str, T]:
    """The same, its keys in natural order: JSON's sorted keys are in the order of spelling."""
    return {name: found[name] for name in sorted(found, key=natural)}
