"""The facts of every row of every split as one table, and places in it in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from tasks.core.contract import Data
from tasks.core.dataset import SPLITS
from tasks.intake.facts import RowFacts

if TYPE_CHECKING:
    import pandas as pd


def row_table(data: Data, facts: Mapping[str, RowFacts]) -> pd.DataFrame:
    """One line a row of every split. What a calibration row shares with train is counted in train alone.

    `overlap`: the row stands in a split before its own as well, so test is compared with val too.
    """
    import pandas as pd

    names = np.array(data.classes, dtype=object)
    parts, before = [], np.empty(0, "S16")
    for split in SPLITS:
        found, labels = facts[split], data.split(split).labels
        first = np.zeros(len(labels), bool)
        first[np.unique(found.digest, return_index=True)[1]] = True
        overlap = np.isin(found.digest, before)
        before = np.concatenate([before, found.digest])
        own = ~overlap if split == "calibration" else np.ones(len(labels), bool)
        shares = np.bincount(labels, minlength=len(names)) / max(1, len(labels))
        columns = {
            "split": split,
            "row": np.arange(len(labels)),
            "label": names[labels],
            "class_share": shares[labels],
            "low": found.low,
            "high": found.high,
            "shape": found.shape,
            "not_finite": (~found.finite & own).astype(np.int64),
            "duplicate": (~first).astype(np.int64),
            "overlap": (overlap & (split != "calibration")).astype(np.int64),
        }
        parts.append(pd.DataFrame(columns, index=range(len(labels))))
    return pd.concat(parts, ignore_index=True)


def percent(share: float) -> str:
    """A share of one, for people."""
    return f"{100 * share:.3g} %"


def some(names: list[str], most: int = 5) -> str:
    """The first few names."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def places(bad: pd.DataFrame, most: int = 3) -> str:
    """`4 rows: train 12, val 0, val 7, ...`, counted from 0 within their split; empty when there is none."""
    if not len(bad):
        return ""
    first = [f"{split} {row}" for split, row in zip(bad["split"][:most], bad["row"][:most], strict=True)]
    return f"{len(bad)} row{'s' * (len(bad) > 1)}: {', '.join(first)}{', ...' if len(bad) > most else ''}"


def in_brackets(text: str) -> str:
    """` (text)`, or nothing for no text."""
    return f" ({text})" if text else ""
