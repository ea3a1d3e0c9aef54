"""What an evaluation will take, reckoned from its rehearsal on a handful of rows: seconds and memory."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.core.rehearsal import Kind, Lap, Sizes

JUDGED = ("val", "test")  # the splits that an evaluation answers


def evaluate_s(sizes: Sizes, seconds: float, laps: Sequence[Lap], pair_s: float) -> float:
    """All rows of val and test, answered by the variant and the reference in `pair_s` a row; more are emulated, too.

    `seconds` is what the rehearsal took, in all.
    """
    more_s = pair_s * sum(sizes.rows[split] - sizes.rehearsed[split] for split in JUDGED)
    return seconds + more_s + emulated_s(laps, sizes) - sum(each.seconds for each in of_kind(laps, "emulated"))


def emulated_s(laps: Sequence[Lap], sizes: Sizes) -> float:
    """The emulation of processors without VNNI, of as many rows of val as it takes."""
    found = of_kind(laps, "emulated")
    return sum(each.seconds / each.rows * min(each.most or each.rows, sizes.rows["val"]) for each in found)


def answers_s(laps: Sequence[Lap], sizes: Sizes) -> float:
    """All rows of val and test, as an evaluation was seen to answer them, and its emulation."""
    found = of_kind(laps, "predicted")
    row_s = sum(each.seconds for each in found) / sum(each.rows for each in found)
    return row_s * len(found) / len(JUDGED) * sum(sizes.rows[split] for split in JUDGED) + emulated_s(laps, sizes)


def grown_mb(laps: Sequence[Lap], sizes: Sizes) -> float:
    """What answering more rows at once holds beyond what the few of the rehearsal did.

    It grows with their number, and what a session held for the largest split serves the smaller one too.
    """
    found, full = of_kind(laps, "predicted"), max(sizes.rows[split] for split in JUDGED)
    more = 0.0
    for most in {each.most or full for each in found}:
        alike = [each for each in found if (each.most or full) == most]
        seen = max(min(most, each.rows) for each in alike)
        more += sum(each.grown_mb for each in alike) * (min(most, full) / seen - 1)
    return more


def of_kind(laps: Sequence[Lap], kind: Kind) -> list[Lap]:
    """The laps of a kind."""
    return [each for each in laps if each.kind == kind]
