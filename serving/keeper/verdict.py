"""One generation before the judge: its package's limits, its rules, and all that its counts have shown."""

from __future__ import annotations

from serving.control.state import State
from serving.control.tally import Tally
from serving.keeper.judge import rules
from serving.keeper.judge.drift import Distance
from serving.keeper.judge.finding import Finding
from serving.keeper.judge.harm import Harm
from serving.keeper.judge.means import Means
from serving.keeper.judge.moved import Moved
from serving.keeper.judge.watch import EVERY_S
from serving.keeper.stages import Evidence
from serving.package import REFERENCE, Package

NO_REFERENCE = (
    f"a package with {REFERENCE}, which says what disagreement to expect: `python -m tasks package` makes one"
)


class Verdict:
    """Judges the counts of one row. Nothing in it outlives the generation, as counts do not.

    alpha is dealt in equal parts to the rules in force, so the chance that a treatment within all limits is ever taken
    back in this generation is at most alpha. The drift alarms share an alpha of their own.
    """

    def __init__(self, row: State, package: Package) -> None:
        self.row, self.rollout = row, package.rollout
        limits, reference = package.rollout.judge, package.reference
        shadow = package.rollout.shadow.share > 0
        in_force = rules.of(
            limits,
            expected=reference.disagreement if reference is not None else None,
            shadow=shadow,
            control=row.share < 1,
        )
        self._harms = tuple(Harm(rule, limits.alpha / len(in_force)) for rule in in_force)
        self._moved = None
        if reference is not None:
            self._moved = Moved(reference, package.labels, package.rollout.drift, limits.alpha)
        self._means = Means(limits, package.rollout.drift)
        self._missing = NO_REFERENCE if shadow and reference is None else ""

    def distances(self) -> dict[str, Distance]:
        """Of each feature to the reference, in its latest window; empty before there is one."""
        windows = {} if self._moved is None else self._moved.windows
        return {name: window.distance for name, window in windows.items() if window.distance is not None}

    def see(self, tally: Tally, now_s: float) -> Evidence:
        """What these counts show; `now_s` by the store's clock, as the row's."""
        period = max(int((now_s - self.row.since_s) // EVERY_S), 0)
        found: list[Finding] = [harm.see(tally, period) for harm in self._harms]
        if self._moved is not None:
            found += self._moved.see(tally, period)
        found.append(self._means.see(tally))
        names = frozenset(harm.rule.name for harm in self._harms)
        awaited = frozenset(harm.rule.name for harm in self._harms if harm.rule.awaited)
        return Evidence(tuple(found), names, awaited, tally.treatment.rows, self._missing)
