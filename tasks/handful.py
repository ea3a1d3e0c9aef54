"""handful: `prepare` for a rehearsal: the real source is read, then a few rows of every class of every split are kept.

Where artifacts/data is current (.prepared/ in the rehearsal's folder), that is read instead. The rules about single
values and shapes hold for a handful too and are checked; those about numbers of rows and shares are not.
artifacts/full.json says how many rows, of how many bytes, the real `prepare` would write.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil, prod
from typing import Any, Final

import numpy as np

from tasks.core.arrays import pick
from tasks.core.artifact import DATA, write_json
from tasks.core.contract import Data, Split
from tasks.core.dataset import SPLITS, read_data
from tasks.core.errors import DataError
from tasks.core.rehearsal import PREPARED, SIZES, Sizes
from tasks.core.seed import seed_for
from tasks.intake.facts import row_facts
from tasks.plan import plugin
from tasks.plan.schema import DataBlock, Expectations, Plan, Promotion, Settings
from tasks.plan.shorten import batch
from tasks.prepare import carve_splits, normalised, require_sound, write
from tasks.validate import check

ROWS: Final = 64  # of every split, unless the classes are many
ROWS_A_CLASS: Final = 4
BATCH: Final = 512
OF_GROUPS: Final = (
    *("worst_group_drop", "worst_group_drop_estimate"),
    *("demographic_parity_difference", "equalized_odds_difference"),
)


def run(settings: Settings) -> None:
    """Write artifacts/data with a handful of rows, and artifacts/full.json; DataError as `prepare`."""
    block, seed = settings.plan.data, seed_for(settings.plan.seed, "data")
    if PREPARED.exists():
        raw = read_data(PREPARED)
    else:
        raw = require_sound(plugin("sources", block.source).load(**block.params), block.source)
    require_groups(settings.promotion, raw)
    rows, row_bytes = full_size(raw, block)
    wanted = dict.fromkeys(SPLITS, ROWS) | {"train": train_rows(settings.plan, raw)}
    some_rows: dict[str, Any] = {
        name: cut(split, raw.classes, seed, wanted[name])
        for name in SPLITS
        if (split := getattr(raw, name)) is not None
    }
    few = replace(raw, **some_rows)
    facts = {name: row_facts(split) for name in SPLITS if (split := getattr(few, name)) is not None}
    one = block.model_copy(update={"calibration_rows": 1})
    data, facts = carve_splits(few, facts, one, seed)
    # So few rows are left of train that it takes all of them to be enough for any technique's calibration.
    data, facts["calibration"] = replace(data, calibration=data.train), facts["train"]
    data = normalised(data, facts["train"], block)
    result = check(data, facts, for_a_handful(settings.expectations))
    if result.broken:
        raise DataError(result.complaint())
    write(DATA, data, result)
    few_rows = {name: len(data.split(name)) for name in SPLITS}
    write_json(SIZES, Sizes(rows=rows, rehearsed=few_rows, row_bytes=row_bytes))


def require_groups(promotion: Promotion, data: Data) -> None:
    """DataError when a gate of promotion.yaml is about groups and the data have none: it could never be judged."""
    bounds = {*promotion.at_most, *promotion.at_least}
    if data.train.groups is None and (about := sorted(bounds.intersection(OF_GROUPS))):
        raise DataError(f"params/promotion.yaml: {', '.join(about)}: cannot be judged, the data have no groups")


def train_rows(plan: Plan, data: Data) -> int:
    """As many as the plan's largest batch, up to BATCH, so that it takes the memory that it will take, and is timed."""
    carved = [
        s for name, s in (("test", plan.data.test_share), ("val", plan.data.val_share)) if not getattr(data, name)
    ]
    largest = max(batch(row.params) for row in plan.variants.values())
    return max(ROWS, ceil(min(BATCH, largest) / prod(1 - share for share in carved)))


def cut(split: Split, classes: Any, seed: int, rows: int) -> Split:
    """About `rows` rows of `split`, as many of each class, at least ROWS_A_CLASS where the class has them."""
    each = max(ROWS_A_CLASS, ceil(rows / len(classes)))
    rng = np.random.default_rng(seed)
    taken = [rng.permutation(np.flatnonzero(split.labels == c))[:each] for c in range(len(classes))]
    return pick(split, np.sort(np.concatenate(taken)))


def full_size(data: Data, block: DataBlock) -> tuple[dict[str, int], int]:
    """The rows of every split that `prepare` would write, and the bytes of a row; DataError when they are too few."""
    rows = {name: len(split) for name in SPLITS if (split := getattr(data, name)) is not None}
    for name, share in (("test", block.test_share), ("val", block.val_share)):
        if name not in rows:
            rows[name] = round(share * rows["train"])
            rows["train"] -= rows[name]
    if "calibration" not in rows:
        if block.calibration_rows > rows["train"]:
            found = f"found {rows['train']} rows left in train; allowed: at least data.calibration_rows"
            raise DataError(f"data: {found}, {block.calibration_rows}")
        rows["calibration"] = block.calibration_rows
    size = sum(values.dtype.itemsize * prod(values.shape[1:]) for values in data.train.inputs.values())
    return rows, size + 8 * (2 if data.train.groups is not None else 1)


def for_a_handful(rules: Expectations) -> Expectations:
    """The rules less those that a handful of rows cannot keep."""
    loose = {"min_rows": {}, "class_share_min": 0.0, "class_share_max": 1.0, "duplicate_share_max": 1.0}
    return rules.model_copy(update={**loose, "overlap_rows_max": 10**9, "nan_rows_max": 10**9})
