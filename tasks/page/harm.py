"""Who was hurt by which variant, as a table: one row a variant, the alarms in words."""

from __future__ import annotations

from tasks.core.findings import Harm
from tasks.page.chart import Numbers, signed
from tasks.page.charts.group_changes import told
from tasks.page.gathered import Evidence

NAMED = 3  # hurt classes and groups in a cell


def table(evidence: Evidence) -> Numbers:
    """Every variant but the reference; fairness only for data with groups."""
    others = {name: r.harm for name, r in evidence.reports.items() if name != evidence.chosen.reference}
    fair = any(harm.fairness for harm in others.values())
    columns = ["variant", "told", "change of accuracy, points (95 %)", "right to wrong, %", "wrong to right, %"]
    columns += ["worst class, points (95 %)", "calibration error"]
    columns += ["demographic parity", "equalized odds"] if fair else []
    return Numbers(tuple(columns), tuple((name, *_cells(harm, fair)) for name, harm in others.items()))


def alarm(harm: Harm) -> str:
    """`collapsed: ...`, `hurts ...`, or that nothing can be told."""
    if harm.constant:
        return "collapsed: one answer for every row"
    if missing := harm.never_predicted:
        return f"collapsed: never answers {', '.join(missing) if len(missing) <= NAMED else f'{len(missing)} classes'}"
    hurt = (*harm.hurt_classes, *harm.hurt_groups)
    if not hurt:
        return "no harm that can be told"
    return f"hurts {', '.join(hurt[:NAMED])}" + (f" and {len(hurt) - NAMED} more" if len(hurt) > NAMED else "")


def _cells(harm: Harm, fair: bool) -> tuple[str, ...]:
    lost = {name: drop.value for name, drop in harm.recall_drop.items() if drop.value > 0}
    worst = max(lost, key=lambda name: lost[name], default=None)
    cells = [
        alarm(harm),
        told(harm.accuracy_drop),
        f"{100 * harm.flips:.2f}",
        f"{100 * harm.mends:.2f}",
        "none lost" if worst is None else f"{worst}: {told(harm.recall_drop[worst])}",
        signed(harm.calibration_change, 4),
    ]
    if fair and harm.fairness:
        cells += [
            f"{harm.fairness.demographic_parity_difference:.3f}",
            f"{harm.fairness.equalized_odds_difference:.3f}",
        ]
    return tuple(cells)
