"""The rules of harm: which counts each looks at, what is evidence of harm, and what of being within the limit.

Counts are of all answers of a variant, not of those alone that the split dealt: a request that asked for its variant
counts there, and one without a user id for the control. Shadow's disagreement apart, which asks both models about the
same rows, a difference is the variants' own only as far as the split decided who got which.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from serving.control.tally import Tally
from serving.keeper.judge import difference, share, words
from serving.keeper.judge.watch import Evidence
from serving.keeper.judge.words import Said
from serving.metrics import SECONDS
from serving.reference import Expected
from serving.shapes import Judge

Array = np.ndarray[Any, Any]
SLOW = 0.05  # of the answers may take longer than p95_ms: that is what a 95th percentile is


@dataclass(frozen=True)
class Rule:
    """Counts (C,) are sums of a generation. `harm` and `within` are logs of e-processes, (..., C) to (...).

    `say` puts counts and alpha into words. `awaited`: whether more users must wait for its proof of being within.
    """

    name: str
    counts: Callable[[Tally], Array]
    harm: Evidence
    within: Evidence
    say: Callable[[Array, float], Said]
    awaited: bool = True


def of(judge: Judge, *, expected: Expected | None, shadow: bool, control: bool) -> tuple[Rule, ...]:
    """The rules in force.

    Args:
        judge: The limits.
        expected: The disagreement that val showed; None: nothing is judged about it.
        shadow: Whether live disagreement is measured.
        control: Whether the control answers anybody: then only a treatment that is also the slower one is too slow.
    """
    rules = [slow(judge.p95_ms, control=control), errors(judge.error_rate), accuracy(judge.accuracy_drop)]
    if shadow and expected is not None:
        rules += disagreement(min(expected.high + judge.disagreement, 0.99), expected.high + judge.fast_disagreement)
    return tuple(rules)


def slow(p95_ms: float, *, control: bool) -> Rule:
    """Answers slower than `p95_ms`. In the bin that holds it, none is taken for too slow, and none for quick enough.

    When all are slow, the host is, and the full model in the compressed one's place would not help.
    """
    surely, perhaps = bisect_left(SECONDS, p95_ms / 1000) + 1, bisect_right(SECONDS, p95_ms / 1000)

    def counts(t: Tally) -> Array:
        ours, theirs = t.treatment.latency, t.control.latency
        return np.array([sum(ours[surely:]), sum(ours[perhaps:]), sum(ours), sum(theirs[surely:]), sum(theirs)])

    def harm(c: Array) -> Array:
        late, _, n, late_c, n_c = np.moveaxis(c, -1, 0)
        beyond = share.above(late, n, SLOW)
        if not control:
            return beyond
        return np.minimum(beyond, difference.worse(n - late, n, n_c - late_c, n_c, 0.0))

    def within(c: Array) -> Array:
        return share.below(c[..., 1], c[..., 2], SLOW)

    def say(c: Array, alpha: float) -> Said:
        return words.of_slow(p95_ms, SLOW, c, alpha)

    return Rule("p95", counts, harm, within, say)


def errors(limit: float) -> Rule:
    """Requests that the treatment answered with a 5xx."""

    def counts(t: Tally) -> Array:
        return np.array([t.treatment.errors, t.treatment.errors + t.treatment.requests])

    return _of_share("errors", "requests answered with a 5xx", limit, counts)


def disagreement(limit: float, fast: float) -> tuple[Rule, Rule]:
    """Compared rows on which the treatment gave another label than the control: any excess, and a large one sooner."""

    def counts(t: Tally) -> Array:
        return np.array([t.shadow.compared - t.shadow.agreed, t.shadow.compared])

    def large(c: Array) -> Array:
        return share.at(c[..., 0], c[..., 1], limit, min(max(fast, limit + 1e-3), 0.999))

    slower = _of_share("disagreement", "rows answered otherwise than by the control", limit, counts)
    return slower, replace(slower, name="disagreement_fast", harm=large, awaited=False)


def accuracy(drop: float) -> Rule:
    """Labelled feedback: the treatment's accuracy against the control's. Labels may never come, so nothing waits."""

    def counts(t: Tally) -> Array:
        ours, theirs = t.treatment, t.control
        return np.array([ours.right, ours.right + ours.wrong, theirs.right, theirs.right + theirs.wrong])

    def harm(c: Array) -> Array:
        return difference.worse(c[..., 0], c[..., 1], c[..., 2], c[..., 3], drop)

    def within(c: Array) -> Array:
        return difference.no_worse(c[..., 0], c[..., 1], c[..., 2], c[..., 3], drop)

    def say(c: Array, alpha: float) -> Said:
        return words.of_difference("labelled rows that were right", drop, c)

    return Rule("accuracy", counts, harm, within, say, awaited=False)


def _of_share(name: str, what: str, limit: float, counts: Callable[[Tally], Array]) -> Rule:
    def harm(c: Array) -> Array:
        return share.above(c[..., 0], c[..., 1], limit)

    def within(c: Array) -> Array:
        return share.below(c[..., 0], c[..., 1], limit)

    def say(c: Array, alpha: float) -> Said:
        return words.of_share(what, limit, int(c[0]), int(c[1]), alpha)

    return Rule(name, counts, harm, within, say)
