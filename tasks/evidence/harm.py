"""Who was hurt: the same rows asked of the reference and of a variant, compared row by row.

Interval of a paired difference: Agresti & Min 2005, "Simple improved confidence intervals for comparing matched
proportions" (Statistics in Medicine 24:729). Test: McNemar 1947, exact. Over classes and groups the level is
Bonferroni's, so that all intervals hold together. Shapes: N rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from statistics import NormalDist
from typing import Any

import numpy as np

from tasks.core.findings import Harm, Interval
from tasks.evidence.fairness import fairness

Array = np.ndarray[Any, Any]
RISK = 0.05
NOTHING = Interval(value=0.0, low=0.0, high=0.0)
FEW = 10  # names in a sentence


def paired_drop(before: Array, after: Array, tests: int = 1) -> Interval:
    """Share right `before` less share right `after`, both bool (N,), and its interval; ValueError for no rows.

    With `tests` such intervals each has the level 1 - 0.05 / tests. A half is added to each of the four counts, so that
    two models without any disagreement on few rows are not said to be equal.
    """
    rows = len(before)
    if rows == 0:
        raise ValueError("the difference over no rows is undefined")
    lost, gained = int((before & ~after).sum()), int((after & ~before).sum())
    z = NormalDist().inv_cdf(1 - RISK / tests / 2)
    wide = rows + 2
    middle = (lost - gained) / wide
    half = z * sqrt(lost + gained + 1 - (lost - gained) ** 2 / wide) / wide
    return Interval(value=(lost - gained) / rows, low=max(-1.0, middle - half), high=min(1.0, middle + half))


def mcnemar(before: Array, after: Array) -> float:
    """The exact two-sided p-value of McNemar's test that as many rows were lost as gained; 1 when none moved."""
    from scipy.stats import binomtest

    lost, gained = int((before & ~after).sum()), int((after & ~before).sum())
    return float(binomtest(lost, lost + gained).pvalue) if lost + gained else 1.0


def harm(
    predicted: Array,
    reference: Array,
    labels: Array,
    classes: Sequence[str],
    groups: Mapping[str, Array],
    calibration_change: float,
    *,
    itself: bool = False,
) -> Harm:
    """Compare the answers (N,) of a variant and of the reference; `groups` has a bool (N,) for each group.

    A class or group without rows is left out. `itself`: the variant is the reference.
    """
    before, after = reference == labels, predicted == labels
    lost, gained = before & ~after, after & ~before
    recall = _drops(before, after, {name: labels == k for k, name in enumerate(classes)}, itself)
    by_group = _drops(before, after, groups, itself)
    finds, answers = set(reference[before].tolist()), set(predicted.tolist())
    return Harm(
        accuracy_drop=NOTHING if itself else paired_drop(before, after),
        mcnemar_p=mcnemar(before, after),
        flips=float(lost.mean()),
        mends=float(gained.mean()),
        recall_drop=recall,
        group_drop=by_group,
        hurt_classes=tuple(name for name, drop in recall.items() if drop.low > 0),
        hurt_groups=tuple(name for name, drop in by_group.items() if drop.low > 0),
        never_predicted=tuple(name for k, name in enumerate(classes) if k in finds and k not in answers),
        constant=len(answers) == 1 and len(set(labels.tolist())) > 1,
        calibration_change=calibration_change,
        fairness=fairness(predicted, labels, classes, groups),
        reference_fairness=fairness(reference, labels, classes, groups),
    )


def _drops(before: Array, after: Array, members: Mapping[str, Array], itself: bool) -> dict[str, Interval]:
    """The drop within each set of rows that is not empty, at a level that holds for all of them together."""
    some = {name: rows for name, rows in members.items() if rows.any()}
    if itself:
        return dict.fromkeys(some, NOTHING)
    return {name: paired_drop(before[rows], after[rows], len(some)) for name, rows in some.items()}


def worst(drops: Iterable[Interval]) -> Interval:
    """The greatest of drops whose intervals hold together, with the interval of that; nothing when there are none.

    The greatest true drop lies between the greatest of the lower ends and the greatest of the upper ones.
    """
    found = list(drops)
    if not found:
        return NOTHING
    return Interval(value=max(d.value for d in found), low=max(d.low for d in found), high=max(d.high for d in found))


def collapse(found: Harm) -> str:
    """The alarm that a variant is of no use, in words; empty when there is none."""
    if found.constant:
        return "every row gets the same answer"
    if found.never_predicted:
        return f"never answers {_listed(found.never_predicted)}, which the reference finds"
    return ""


def alarms(found: Harm) -> tuple[str, ...]:
    """What must be known before anything else: a collapse, then who was hurt; nothing where no interval says so."""
    collapsed = collapse(found)
    told = [f"Collapse: {collapsed}."] if collapsed else []
    for one, many, names, drops in (
        ("class", "classes", found.hurt_classes, found.recall_drop),
        ("group", "groups", found.hurt_groups, found.group_drop),
    ):
        worst_first = [name for _, name in sorted((-drops[name].value, name) for name in names)]
        told += [f"Hurt: {one} {name} lost {_points(drops[name])}." for name in worst_first[:FEW]]
        if more := worst_first[FEW:]:
            told.append(f"Hurt: {len(more)} more {many if len(more) > 1 else one}, by less.")
    return tuple(told)


def sentences(found: Harm) -> tuple[str, ...]:
    """What a person should know of it, the alarms first."""
    told = list(alarms(found))
    if not told:
        told.append("No class or group can be told to have lost: every interval reaches 0.")
    if found.fairness and found.reference_fairness:
        mine, theirs = found.fairness, found.reference_fairness
        told.append(
            f"Between groups: demographic parity differs by {mine.demographic_parity_difference:.3f} (reference"
            f" {theirs.demographic_parity_difference:.3f}), equalized odds by {mine.equalized_odds_difference:.3f}"
            f" ({theirs.equalized_odds_difference:.3f})."
        )
    changed = "changed" if found.mcnemar_p < RISK else "not told to have changed"
    told.append(
        f"{found.flips:.2%} of rows went from right to wrong, {found.mends:.2%} from wrong to right: accuracy {changed}"
        f" (lost {_points(found.accuracy_drop)}; McNemar p {found.mcnemar_p:.2g});"
        f" calibration error {found.calibration_change:+.4f}."
    )
    return tuple(told)


def _listed(names: Sequence[str]) -> str:
    """All of a few names; of many the first, and how many more."""
    return ", ".join(names) if len(names) <= FEW else f"{', '.join(names[:FEW])} and {len(names) - FEW} more"


def _points(drop: Interval) -> str:
    """A drop in points with its interval."""
    return f"{100 * drop.value:.2f} points (95 % interval {100 * drop.low:.2f} to {100 * drop.high:.2f})"
