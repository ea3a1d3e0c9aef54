"""What the judge found, as people and programs read it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from serving.shapes import Frozen

Outcome = Literal["within", "unclear", "harm"]


class Finding(Frozen):
    """One rule's: `within` and `harm` are proven, `unclear` is neither yet. The sentence rests on `numbers`."""

    rule: str
    outcome: Outcome
    sentence: str
    numbers: dict[str, float] = Field(default_factory=dict)


def percent(share: float) -> str:
    """0.0312 as `3.1 %`; two digits, and no exponent."""
    if 0 < share < 1e-5:
        return "under 0.001 %"
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.0f} %"
