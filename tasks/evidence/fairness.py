"""How differently groups of people are treated, by Fairlearn: demographic parity and equalized odds, of many classes.

Demographic parity (Dwork et al. 2012, arXiv:1104.3913): each class is answered as often in one group as in another.
Equalized odds (Hardt et al. 2016, arXiv:1610.02413): so it is among the rows of that class, and among the others. Each
class is asked against the rest, and the worst counts. 0 is equal treatment, 1 is the opposite. Shapes: N rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tasks.core.findings import Fairness

Array = np.ndarray[Any, Any]


def fairness(predicted: Array, labels: Array, classes: Sequence[str], groups: Mapping[str, Array]) -> Fairness | None:
    """Of answers (N,); `groups` has a bool (N,) for each group. None where fewer than two of them have rows.

    A rate of rows that a group does not have (a class that does not occur in it) says nothing and is left out of
    equalized odds.
    """
    from fairlearn.metrics import MetricFrame, selection_rate

    some = {name: rows for name, rows in groups.items() if rows.any()}
    if len(some) < 2:
        return None
    known = np.logical_or.reduce(list(some.values()))
    member = np.select(list(some.values()), list(some), default="")[known]
    parity, odds = 0.0, 0.0
    for k in range(len(classes)):
        answered, true = predicted[known] == k, labels[known] == k
        for rows in (np.ones_like(true), true, ~true):
            if len(set(member[rows])) < 2:
                continue
            frame = MetricFrame(
                metrics=selection_rate,
                y_true=true[rows],
                y_pred=answered[rows],
                sensitive_features=member[rows],
            )
            found = float(frame.difference(method="between_groups"))
            if rows.all():
                parity = max(parity, found)
            else:
                odds = max(odds, found)
    return Fairness(demographic_parity_difference=parity, equalized_odds_difference=odds)
