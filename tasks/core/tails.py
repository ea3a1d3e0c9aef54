"""How the slow calls of two variants compare: the ratio of a high percentile, with an interval, from the same rounds.

One round may hold too few calls for its 95th percentile. Neighbouring rounds are therefore put together into parts,
each with enough calls, or with as many as can be; a part gives one ratio, in which slow drift cancels as in a round's.
Calls of one opened session go up and down together, parts share no session: they are what the distribution-free
interval of a median asks for, where the calls themselves, or a percentile's own order statistics, are not (Schmeiser
1982, "Batch size effects in the analysis of simulation output", Operations Research 30). What it bounds is the ratio
of a typical part: a stall that comes once in an hour and falls into one part is seen in `p95_ms`, not here.
"""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np

from tasks.core.findings import Interval
from tasks.core.median import fewest, median_interval

Array = np.ndarray[Any, Any]


def tail_ratio(mine: list[Array], reference: list[Array], percent: int, confidence: float) -> Interval:
    """The `percent` percentile of `mine` over the reference's, both ms by round; ValueError as `median_interval`."""
    found = []
    for rounds in parts(mine, reference, percent, fewest(confidence)):
        one, other = (np.concatenate([calls[k] for k in rounds]) for calls in (mine, reference))
        found.append(np.percentile(one, percent) / np.percentile(other, percent))
    return median_interval(np.array(found), confidence)


def parts(mine: list[Array], reference: list[Array], percent: int, least: int) -> list[Array]:
    """Numbers of rounds by part: 20 calls of each variant for the 95th percentile, 100 for the 99th, if they last.

    There are `least` parts, or a round in each, whatever the calls.
    """
    rounds = len(mine)
    a_round = min(sum(len(calls) for calls in each) for each in (mine, reference)) / max(1, rounds)
    wide = ceil(100 / (100 - percent) / a_round) if rounds else 1
    return np.array_split(np.arange(rounds), min(rounds, max(least, rounds // wide))) if rounds else []
