"""Drift of inputs and answers against the reference, over windows of live rows: alarms, never a reason to take back.

What comes in is not the treatment's doing: the control answers the same users, and worse answers show as harm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from serving.control.tally import Tally
from serving.keeper.judge.drift import Window
from serving.keeper.judge.finding import Finding
from serving.package import ROLES
from serving.reference import Reference
from serving.shapes import DriftLimits

Array = np.ndarray[Any, Any]
SHOWN = 8  # features with the largest PSI whose numbers go into a finding


class Moved:
    """Watches every feature of the reference, and each variant's labels and confidence."""

    def __init__(self, reference: Reference, labels: Sequence[str], limits: DriftLimits, alpha: float) -> None:
        """`alpha` bounds the chance that there is ever a false alarm of any of them; each has two distances."""
        self._reference, self._labels, self._limits = reference, labels, limits
        expected = {f"input {name}": bins.counts for name, bins in reference.features.items()}
        for role in ROLES:
            expected[f"{role} labels"] = self._by_label(reference.predicted[role])
            expected[f"{role} confidence"] = reference.confidence[role]
        each = alpha / (2 * len(expected))
        self.windows = {
            name: Window(np.array(counts), limits.min_rows, each, ordered=not name.endswith("labels"))
            for name, counts in expected.items()
        }

    def see(self, tally: Tally, period: int) -> tuple[Finding, ...]:
        """Two findings, of inputs and of answers; `harm` stands for drift in the latest window."""
        live: dict[str, Sequence[int]] = {f"input {name}": counts for name, counts in tally.inputs.items()}
        for role, variant in zip(ROLES, (tally.control, tally.treatment), strict=True):
            live[f"{role} labels"] = self._by_label(variant.predicted)
            live[f"{role} confidence"] = variant.confidence
        odd = [n for n, counts in live.items() if n not in self.windows or len(counts) != self.windows[n].bins]
        for name in live.keys() - set(odd):
            self.windows[name].see(np.array(live[name]), period)
        inputs = {name: window for name, window in self.windows.items() if name.startswith("input ")}
        answers = {name: window for name, window in self.windows.items() if name not in inputs}
        return self._finding("drift_inputs", inputs, odd), self._finding("drift_answers", answers, ())

    def _by_label(self, counts: Mapping[str, int]) -> tuple[int, ...]:
        return tuple(counts.get(label, 0) for label in self._labels)

    def _finding(self, rule: str, windows: Mapping[str, Window], odd: Sequence[str]) -> Finding:
        found = [(name, w.distance) for name, w in windows.items() if w.distance is not None]
        found.sort(key=lambda one: -one[1].psi)
        psi, ks = self._limits.psi, self._limits.ks
        moved = [name for name, d in found if d.beyond(psi, ks)]
        numbers: dict[str, float] = {"psi_limit": psi, "ks_limit": ks}
        for name, d in found[:SHOWN]:
            numbers |= {f"psi {name}": d.psi, f"ks {name}": d.ks, f"rows {name}": float(d.rows)}
        other = f"; counted over other bins than the package's: {', '.join(odd)}" if odd else ""
        if not found:
            said = f"no {self._limits.min_rows} rows yet to compare with val{other}"
            return Finding(rule=rule, outcome="unclear", sentence=said, numbers=numbers)
        shown = ", ".join(
            f"{name} (PSI {d.psi:.2g}, KS {d.ks:.2g})" for name, d in found if name in (moved or [found[0][0]])
        )
        limits = f"limits {psi:g} and {ks:g}, and chance{other}"
        said = f"moved away from val: {shown}; {limits}" if moved else f"as val; furthest: {shown}; {limits}"
        return Finding(rule=rule, outcome="harm" if moved else "within", sentence=said, numbers=numbers)
