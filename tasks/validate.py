"""Check prepared data against params/expectations.yaml with Great Expectations. The only module that imports it.

One table holds the facts of every row (tasks.intake.facts); one suite of expectations runs over it in memory. Nothing
of Great Expectations' own (run ids, times, a project folder) is kept: the same data give the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tasks.core.contract import Data
from tasks.core.dataset import SPLITS
from tasks.core.quiet import quiet
from tasks.intake.facts import RowFacts, shape_text
from tasks.intake.row_table import in_brackets, percent, places, row_table, some
from tasks.intake.validation import Rule, Validation
from tasks.plan.schema import Expectations

if TYPE_CHECKING:
    import pandas as pd


class Draft(NamedTuple):
    """A rule before it is checked: `args` are the expectation's own, `split` limits it to one split's rows."""

    rule: str
    allowed: str
    observed: str
    expectation: str
    args: dict[str, Any]
    split: str | None = None


def check(data: Data, facts: Mapping[str, RowFacts], expectations: Expectations) -> Validation:
    """Check every rule; `facts` are those of each split's rows. A broken rule is a result here, not an error."""
    table = row_table(data, facts)
    drafts = [d for name in SPLITS for d in _split_rules(table[table["split"] == name], name, data, expectations)]
    drafts += _row_rules(table, expectations)
    held = _great_expectations(table, drafts)
    rules = tuple(
        Rule(rule=d.rule, observed=d.observed, allowed=d.allowed, ok=ok, expectation=d.expectation)
        for d, ok in zip(drafts, held, strict=True)
    )
    return Validation(rows={name: len(data.split(name)) for name in SPLITS}, rules=rules)


def _split_rules(rows: pd.DataFrame, name: str, data: Data, wanted: Expectations) -> list[Draft]:
    """Rules about one split: rows, classes, balance, duplicates."""
    drafts = []
    least_rows: Mapping[str, int] = {str(split): rows for split, rows in wanted.min_rows.items()}
    if (least := least_rows.get(name)) is not None:
        args: dict[str, Any] = {"min_value": least}
        text = f"{name} has enough rows"
        drafts.append(Draft(text, f"{least} or more", str(len(rows)), "ExpectTableRowCountToBeBetween", args, name))
    drafts += _class_rules(rows, name, data, wanted)
    if name != "calibration" and wanted.duplicate_share_max < 1:  # calibration is part of train
        share = float(rows["duplicate"].mean()) if len(rows) else 0.0
        args = {"column": "duplicate", "max_value": wanted.duplicate_share_max}
        found = f"{percent(share)}{in_brackets(places(rows[rows['duplicate'] == 1]))}"
        text = f"few rows of {name} repeat an earlier row of it"
        allowed = f"{percent(wanted.duplicate_share_max)} or less"
        drafts.append(Draft(text, allowed, found, "ExpectColumnMeanToBeBetween", args, name))
    return drafts


def _class_rules(rows: pd.DataFrame, name: str, data: Data, wanted: Expectations) -> list[Draft]:
    """Which classes occur in a split, and in what shares."""
    classes, present = list(data.classes), set(rows["label"])
    # A few calibration rows cannot hold every one of many classes, nor in proportion.
    small = name == "calibration" and len(rows) < len(classes)
    args: dict[str, Any] = {"column": "label", "value_set": classes}
    if name == "train" or (wanted.class_share_min > 0 and not small):
        missing = [c for c in classes if c not in present]
        found = f"{len(present)}" + (f" (missing: {some(missing)})" if missing else "")
        kind, text, allowed = "ExpectColumnDistinctValuesToEqualSet", f"every class occurs in {name}", "all"
    else:
        found, allowed = f"{len(present)}", "any"
        kind, text = "ExpectColumnDistinctValuesToBeInSet", f"{name} holds known classes only"
    drafts = [Draft(text, f"{allowed} of {len(classes)}", found, kind, args, name)]
    if not small and (wanted.class_share_min > 0 or wanted.class_share_max < 1):
        shares = sorted(set(zip(rows["class_share"], rows["label"], strict=True)))
        found = " to ".join(f"{percent(share)} ({label})" for share, label in (shares[0], shares[-1]))
        allowed = f"{percent(wanted.class_share_min)} to {percent(wanted.class_share_max)} each"
        args = {"column": "class_share", "min_value": wanted.class_share_min, "max_value": wanted.class_share_max}
        text = f"the classes found in {name} are balanced"
        drafts.append(Draft(text, allowed, found, "ExpectColumnValuesToBeBetween", args, name))
    return drafts


def _row_rules(table: pd.DataFrame, wanted: Expectations) -> list[Draft]:
    """Rules about single rows, over all splits: shape, range, NaN, overlap."""
    drafts = []
    if wanted.shape is not None:
        allowed = shape_text(wanted.shape)
        found = ", ".join(sorted(set(table["shape"])))
        args: dict[str, Any] = {"column": "shape", "value_set": [allowed]}
        drafts.append(Draft("every row has the right shape", allowed, found, "ExpectColumnValuesToBeInSet", args))
    for column, bound, word in (("low", wanted.value_min, "below"), ("high", wanted.value_max, "above")):
        if bound is not None:
            bad = table[table[column] < bound if column == "low" else table[column] > bound]
            found = f"{table[column].min() if column == 'low' else table[column].max():g}{in_brackets(places(bad))}"
            args = {"column": column, "min_value" if column == "low" else "max_value": bound}
            allowed = f"{bound:g} or {'more' if column == 'low' else 'less'}"
            drafts.append(
                Draft(f"no value lies {word} the range", allowed, found, "ExpectColumnValuesToBeBetween", args)
            )
    for column, most, none, few in (
        ("not_finite", wanted.nan_rows_max, "no row holds a NaN or an infinity", "few rows hold a NaN or an infinity"),
        ("overlap", wanted.overlap_rows_max, "train, val and test share no row", "train, val and test share few rows"),
    ):
        bad = table[table[column] == 1]
        args = {"column": column, "max_value": most}
        text, allowed = (few, f"{most} or fewer") if most else (none, "none")
        found = places(bad) or "none"
        drafts.append(Draft(text, allowed, found, "ExpectColumnSumToBeBetween", args))
    return drafts


def _great_expectations(table: pd.DataFrame, drafts: list[Draft]) -> list[bool]:
    """Whether each rule holds, as Great Expectations finds."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read on import: it would report home
    with quiet():
        import great_expectations as gx
        from great_expectations import expectations as known
        from great_expectations.expectations.row_conditions import Column

        context = gx.get_context(mode="ephemeral")
        suite = context.suites.add(gx.ExpectationSuite(name="data"))
        for number, d in enumerate(drafts):
            only = {} if d.split is None else {"row_condition": Column("split") == d.split}
            suite.add_expectation(getattr(known, d.expectation)(**d.args, **only, meta={"rule": number}))
        asset = context.data_sources.add_pandas("rows").add_dataframe_asset("rows")
        batch = asset.add_batch_definition_whole_dataframe("all")
        definition = gx.ValidationDefinition(name="data", data=batch, suite=suite)
        definition = context.validation_definitions.add(definition)
        checkpoint = context.checkpoints.add(gx.Checkpoint(name="data", validation_definitions=[definition]))
        run = checkpoint.run(batch_parameters={"dataframe": table})
    (result,) = run.run_results.values()
    held: dict[int, bool] = {}
    for one in result.results:
        raised = one.exception_info.get("raised_exception", True)
        assert not raised, f"Great Expectations could not check {one.expectation_config.type}: {one.exception_info}"
        held[one.expectation_config.meta["rule"]] = bool(one.success)
    return [held[number] for number in range(len(drafts))]
