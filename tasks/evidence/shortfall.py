"""By how much a variant misses its bounds, and what a person is told when none keeps them all."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from tasks.core.results import Candidate
from tasks.evidence.bounds import ESTIMATE, EXACT

Bounds = Collection[tuple[str, float]]


def gaps(figures: Mapping[str, float], at_most: Bounds, at_least: Bounds) -> dict[str, float]:
    """By how much each bound is missed, those of `at_least` downwards; only bounds that are."""
    missed = {key: round(figures[key] - bound, EXACT) for key, bound in at_most}
    missed |= {key: round(bound - figures[key], EXACT) for key, bound in at_least}
    return {key: gap for key, gap in missed.items() if gap > 0}


def explain(candidates: Mapping[str, Candidate], at_most: Bounds, at_least: Bounds) -> str:
    """One line a variant: why it is barred, each bound that it misses and by how much; then what could be done."""
    lines = ["no variant keeps the budget of `choose: at_most` and `at_least` in params/plan.yaml:"]
    for name, one in candidates.items():
        barred = [f"barred, on val it {one.barred}"] if one.barred else []
        lines.append(f"  {name}: {'; '.join([*barred, *misses(one, at_most, at_least)])}")
    return "\n".join([*lines, *hints(candidates, at_most)])


def misses(one: Candidate, at_most: Bounds, at_least: Bounds) -> Iterator[str]:
    """Each bound that is missed, with the figure that was held against it."""
    for way, bounds in (("at most", at_most), ("at least", at_least)):
        for key, bound in bounds:
            if gap := one.gaps.get(key):
                yield f"{figure(one, key)}, {way} {bound:.4g} (misses by {gap:.4g})"


def figure(one: Candidate, key: str) -> str:
    """A figure as a bound sees it: as measured and, where that is another number, the end of its interval."""
    value = f"{key} {one.values[key.removesuffix(ESTIMATE)]:.4g}"
    return f"{value}, 95 % sure of at most {one.upper[key]:.4g}" if key in one.upper else value


def hints(candidates: Mapping[str, Candidate], at_most: Bounds) -> list[str]:
    """What to do about bounds that are missed by an interval alone, though some variant keeps them as measured."""
    close = {
        key: name
        for name, one in candidates.items()
        for key in one.gaps
        if key in one.upper and one.values[key] <= dict(at_most)[key]
    }
    return [
        f"{key}: {name} keeps the bound as measured, not with the upper end of its interval, which is what is judged:"
        f" more rows of val narrow it; or widen the bound, or bound `{key}{ESTIMATE}`, the measured value alone"
        for key, name in close.items()
    ]
