"""Whether a run takes no more than a few minutes, told from as little of its rehearsal as possible.

What is known beforehand: how many steps there are, and for how long the benchmark may add rounds. What is not: how long
a pass of training takes, and a row's answer. The first row that is trained tells the one, the first that is evaluated
the other; few rows need neither, nor does an evaluation that was computed here before.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from flows.estimate import Rehearsed, budget_s, pass_s
from flows.evaluation import answers_s
from tasks.core.artifact import DATA
from tasks.core.dataset import read_data
from tasks.core.last_run import LastRun
from tasks.core.rehearsal import Sizes
from tasks.plan import Plan
from tasks.plan.shorten import passes

LONG_S = 180.0  # a run that would take longer is rehearsed unasked
ROUGH_STEP_S = 3.0  # a step, roughly, beside what it does row by row, and the rounds of the bench
FEW_ROWS = 20_000  # that all passes read together: no network needs long for so few
SIDES = 2  # of an evaluation: every row is answered by the variant and by the reference


class Length:
    """Of a run of the `stale` stages of a plan."""

    def __init__(self, plan: Plan, stale: Collection[str]) -> None:
        self._passes = sum(passes(row.params) for name, row in plan.variants.items() if f"build@{name}" in stale)
        self._evaluations = [step for step in stale if step.startswith("evaluate@")]
        self._same_data = "prepare" not in stale
        self._known_s = len(stale) * ROUGH_STEP_S + (budget_s(plan) if "bench" in stale else 0.0)

    def short_unseen(self) -> bool:
        """Whether that can be said with nothing rehearsed."""
        if self._passes or self._known_s >= LONG_S:
            return False
        if not self._evaluations:
            return True
        if not self._same_data:
            return False
        remembered = self._remembered_s()
        if remembered is not None:
            return self._known_s + remembered < LONG_S
        data = read_data(DATA)
        return self._few(sum(len(data.split(name)) for name in ("val", "test")))

    def short(self, sizes: Sizes, done: Sequence[Rehearsed]) -> bool:
        """Whether what is known after `done` says so.

        Looked at twice: once the rows are counted, and once a first row has been trained, or evaluated where no row is.
        """
        if len(done) == 1:
            few = self._passes * sizes.rows["train"] < FEW_ROWS
            if not self._passes:
                few = self._few(sizes.rows["val"] + sizes.rows["test"])
            return few and self._known_s < LONG_S
        kind = "train" if self._passes else "predicted"
        seen = [each for each in done if any(lap.kind == kind for lap in each.laps)]
        if len(seen) != 1 or seen[0] is not done[-1]:
            return False
        laps = seen[0].laps
        rows_s = self._passes * pass_s(laps, sizes) if self._passes else len(self._evaluations) * answers_s(laps, sizes)
        return self._known_s + rows_s < LONG_S

    def _few(self, judged: int) -> bool:
        return len(self._evaluations) * judged * SIDES < FEW_ROWS

    def _remembered_s(self) -> float | None:
        """What the evaluations took when they were last computed here; None where one never was."""
        stages = LastRun.read().stages
        took = [stages[step].computed_s if step in stages else 0.0 for step in self._evaluations]
        return sum(took) if all(took) else None
