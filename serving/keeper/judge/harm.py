"""One rule over one generation: what its counts prove by now, as a finding."""

from __future__ import annotations

from math import log
from typing import Any

import numpy as np

from serving.control.tally import Tally
from serving.keeper.judge.finding import Finding, Outcome
from serving.keeper.judge.rules import Rule
from serving.keeper.judge.watch import Watch

Array = np.ndarray[Any, Any]


class Harm:
    """Watches one rule. Harm that was proven once stays proven: whoever acts on it may have to try again."""

    def __init__(self, rule: Rule, alpha: float) -> None:
        """`alpha` bounds the chance of a false `harm`, and that of a false `within`."""
        self.rule, self._alpha = rule, alpha
        self._watch = Watch(rule.harm, alpha)
        self._toward_harm = 0.0
        self._seen: tuple[tuple[int, ...], int] | None = None
        self._finding: Finding | None = None

    def see(self, tally: Tally, period: int) -> Finding:
        """What is known by these counts; `period` is the generation's age in minutes."""
        counts = self.rule.counts(tally)
        seen = tuple(counts.tolist()), period
        if self._finding is None or seen != self._seen:
            self._seen, self._finding = seen, self._judged(counts, period)
        return self._finding

    def _judged(self, counts: Array, period: int) -> Finding:
        toward = float(self._watch.see(counts, period))
        self._toward_harm = self._toward_harm if self._toward_harm >= 1 else toward
        toward_within = float(self.rule.within(counts)) / log(1 / self._alpha)
        outcome: Outcome = "harm" if self._toward_harm >= 1 else "within" if toward_within >= 1 else "unclear"
        ends = {
            "toward_harm": min(max(self._toward_harm, 0.0), 1.0),
            "toward_within": min(max(toward_within, 0.0), 1.0),
        }
        said, numbers = self.rule.say(counts, self._alpha)
        return Finding(rule=self.rule.name, outcome=outcome, sentence=said, numbers={**numbers, **ends})
