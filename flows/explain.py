"""`stillroom explain VARIANT`: the chain that made it, what each row was asked, found and left alone, and its cost."""

from __future__ import annotations

import json

from pydantic import Field, JsonValue

from flows.leaving import Leaving, leaving
from tasks.core import artifact
from tasks.core.contract import Card, Facts, Form, Params
from tasks.core.errors import ArtifactError, PlanError, nearest
from tasks.core.frozen import Frozen
from tasks.core.last_run import LastRun
from tasks.core.recipe import warnings_of
from tasks.core.results import Summary
from tasks.evidence.waterfall import Waterfall, waterfall
from tasks.plan import Plan

_ASIDE = ("_left_alone", "_left_float", "_left_fresh", "_skipped")


class Link(Frozen):
    """One row of the chain."""

    variant: str
    parent: str
    technique: str
    form: Form
    params: dict[str, JsonValue]
    facts: dict[str, JsonValue] = Field(description="what the technique found, all of it but its warnings")
    left_alone: dict[str, JsonValue] = Field(
        description="the part of the facts that says what was not changed, and why"
    )
    leaving: Leaving | None = Field(description="where rows leave; null: every row costs the same")
    build_seconds: float | None = Field(description="when a flow run here last computed it")
    warnings: tuple[str, ...]


class Explanation(Frozen):
    """All that `stillroom explain` says; `chain` goes from the untrained network's first row down to `variant`."""

    variant: str
    reference: str
    chosen: bool | None = Field(description="null: the last run did not compare this variant")
    chain: tuple[Link, ...]
    waterfall: Waterfall | None = Field(description="null: the last run did not compare this variant")


def explain(plan: Plan, variant: str) -> Explanation:
    """Everything known of a variant of the plan; PlanError for another name, ArtifactError when it is not built."""
    if variant not in plan.variants:
        known = ", ".join(plan.variants)
        raise PlanError(f"variant {variant!r}: there is none{nearest(variant, plan.variants)}; allowed: {known}")
    seconds = build_seconds()
    chain: list[Link] = []
    name = variant
    while name != "data":
        chain.insert(0, link(plan, name, seconds.get(name)))
        name = plan.variants[name].parent
    summary = artifact.read_json(artifact.SUMMARY, Summary) if artifact.SUMMARY.exists() else None
    compared = summary is not None and variant in {row.variant for row in summary.rows}
    return Explanation(
        variant=variant,
        reference=plan.choose.reference,
        chosen=summary.chosen == variant if summary and compared else None,
        chain=tuple(chain),
        waterfall=waterfall(summary, variant) if summary and compared else None,
    )


def link(plan: Plan, name: str, seconds: float | None) -> Link:
    """One row, from its card; ArtifactError when the card is of a row that the plan has changed since."""
    path = artifact.variant_folder(name) / "card.json"
    card, row = artifact.read_json(path, Card), plan.variants[name]
    if (card.parent, card.technique) != (row.parent, row.technique):
        made = f"{card.technique} of {card.parent}"
        raise ArtifactError(
            f"{path}: made by {made}, the plan says {row.technique} of {row.parent}; `stillroom run` makes it anew"
        )
    left = {key: value for key, value in card.facts.items() if key == "left_alone" or key.endswith(_ASIDE)}
    return Link(
        variant=name,
        parent=card.parent,
        technique=card.technique,
        form=card.form,
        params=card.params,
        facts={key: value for key, value in card.facts.items() if key != "warnings"},
        left_alone=left,
        leaving=leaving(name, card.facts, plan.bench.first),
        build_seconds=seconds,
        warnings=warnings(row.params, card.facts),
    )


def warnings(params: Params, facts: Facts) -> tuple[str, ...]:
    """Those of the plan's row and those on its card, each once."""
    on_card = facts.get("warnings")
    return tuple(dict.fromkeys((*warnings_of(params), *(map(str, on_card) if isinstance(on_card, list) else ()))))


def build_seconds() -> dict[str, float]:
    """How long each row's build took when a flow run here last computed it; ArtifactError for a damaged record."""
    found = {n: stage.computed_s for n, stage in LastRun.read().stages.items() if n.startswith("build@")}
    return {name.removeprefix("build@"): seconds for name, seconds in found.items() if seconds > 0}


def plain(value: JsonValue) -> str:
    """A parameter or fact as a person writes it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
