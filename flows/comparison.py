"""Two variants, or the variants of two revisions, beside each other (what differs: flows/difference.py)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from flows.difference import Difference, latencies, quality
from flows.measured import Results
from tasks.core.frozen import Frozen


class Pair(Frozen):
    """Two variants that are compared: of one checkout, or one name at two revisions."""

    a: str
    b: str
    same_model: bool
    differences: tuple[Difference, ...]


class Comparison(Frozen):
    """All that `stillroom compare A B` found."""

    a: str
    b: str
    of: Literal["variants", "revisions"]
    chosen: tuple[str, str] = Field(description="what was chosen where a stands, and where b stands")
    only_a: tuple[str, ...] = Field(description="variants of revision a that b lacks")
    only_b: tuple[str, ...]
    pairs: tuple[Pair, ...]


def of_variants(results: Results, a: str, b: str) -> Comparison:
    """Two variants of one place."""
    pairs = (pair(results, a, results, b),)
    chosen = (results.chosen, results.chosen)
    return Comparison(a=a, b=b, of="variants", chosen=chosen, only_a=(), only_b=(), pairs=pairs)


def of_revisions(a: str, before: Results, b: str, after: Results) -> Comparison:
    """Every variant that both revisions have."""
    return Comparison(
        a=a,
        b=b,
        of="revisions",
        chosen=(before.chosen, after.chosen),
        only_a=tuple(name for name in before.measured if name not in after.measured),
        only_b=tuple(name for name in after.measured if name not in before.measured),
        pairs=tuple(pair(before, name, after, name) for name in before.measured if name in after.measured),
    )


def pair(before: Results, a: str, after: Results, b: str) -> Pair:
    """Variant `a` of one place beside variant `b` of another, or of the same."""
    mine, theirs = before.measured[a], after.measured[b]
    one, other = ((side.cpu, side.measured[side.reference].model_sha256) for side in (before, after))
    itself = before is not after and (a, b) == (before.reference, after.reference)  # its ratio is 1 by definition
    points = [at for at in before.timings[a] if at in after.timings[b]]
    alike, together = one == other and not itself, before is after
    timed = [one for at in points for one in latencies(before.timings[a][at], after.timings[b][at], alike, together)]
    same_model = mine.model_sha256 == theirs.model_sha256
    return Pair(a=a, b=b, same_model=same_model, differences=(*quality(mine, theirs), *timed))
