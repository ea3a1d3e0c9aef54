"""Changes over time, of the disagreement, the errors and the confidence, as one finding; alarms alone."""

from __future__ import annotations

from serving.control.tally import CONFIDENCE_BINS, Tally
from serving.keeper.judge import change
from serving.keeper.judge.change import Change
from serving.keeper.judge.finding import Finding
from serving.shapes import DriftLimits, Judge

RULE = "change"


class Means:
    """Three means, each watched by ADWIN; none without River.

    A change counts from the size on that the limits name: a confidence's mean moves by no more than its KS distance.
    """

    def __init__(self, judge: Judge, drift: DriftLimits) -> None:
        self._changes: dict[str, Change] = {}
        if change.installed():
            each = judge.alpha / 3
            self._changes = {
                "disagreement": Change(judge.disagreement, each, up=True),
                "errors": Change(judge.error_rate, each, up=True),
                "confidence": Change(drift.ks, each, up=False),
            }

    def see(self, tally: Tally) -> Finding:
        """What changed lately."""
        if not self._changes:
            return Finding(
                rule=RULE, outcome="unclear", sentence=f"changes over time are not watched: {change.MISSING}"
            )
        for name, (total, rows) in _sums(tally).items():
            self._changes[name].see(total, rows)
        seen = {name: one for name, one in self._changes.items() if one.seen}
        numbers = {name: one.now for name, one in self._changes.items()}
        if not seen:
            return Finding(rule=RULE, outcome="within", sentence="no mean has changed lately", numbers=numbers)
        said = "changed: " + ", ".join(f"{name} from {one.before:.3g} to {one.now:.3g}" for name, one in seen.items())
        return Finding(
            rule=RULE,
            outcome="harm",
            sentence=said,
            numbers=numbers | {f"{n}_before": c.before for n, c in seen.items()},
        )


def _sums(tally: Tally) -> dict[str, tuple[float, int]]:
    """{mean: its total and its rows}, from the beginning of the generation."""
    ours, shadow = tally.treatment, tally.shadow
    confidence = sum(n * (i + 0.5) / CONFIDENCE_BINS for i, n in enumerate(ours.confidence))
    return {
        "disagreement": (shadow.compared - shadow.agreed, shadow.compared),
        "errors": (ours.errors, ours.errors + ours.requests),
        "confidence": (confidence, sum(ours.confidence)),
    }
