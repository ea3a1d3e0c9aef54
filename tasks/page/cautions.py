"""What a person should know before shipping the chosen variant, beyond whom it hurt: one sentence each, or none."""

from __future__ import annotations

from tasks.page.gathered import Evidence


def cautions(evidence: Evidence) -> tuple[str, ...]:
    """Of the chosen variant; nothing is said of the reference, which ships already."""
    name, at_most = evidence.chosen.variant, evidence.plan.choose.at_most
    if name == evidence.chosen.reference:
        return ()
    report, told = evidence.reports[name], []
    if evidence.chosen.tied:
        others = ", ".join(evidence.chosen.tied)
        told.append(f"A close call: {evidence.chosen.prefer} does not tell it from {others}, within the budget too.")
    drop, limit = report.harm.accuracy_drop, at_most.get("accuracy_drop")
    if limit is not None and drop.value > limit:
        told.append(
            f"Missed on test: it loses {100 * drop.value:.2f} points, the budget allows {100 * limit:g} (kept on val)."
        )
    elif limit is not None and drop.high > limit:
        told.append(
            f"Not sure: on test it may lose up to {100 * drop.high:.2f} points (95 % interval), the budget allows"
            f" {100 * limit:g}; more test rows would tell."
        )
    if (found := report.portability) and found.verdict in ("differs", "not judged"):
        told.append(f"INT8: {found.sentence}.")
    if disturbed := evidence.bench.noise.disturbances:
        told.append(f"The machine was not quiet while it was timed: {'; '.join(disturbed)}.")
    return tuple(told)
