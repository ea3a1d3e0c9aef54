"""All that the earlier steps wrote about the plan's variants, in one object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tasks.core import artifact
from tasks.core.contract import Card
from tasks.core.errors import ArtifactError
from tasks.core.results import Bench, Chosen, Evaluation, Timing
from tasks.plan.schema import Plan, Variant


@dataclass(frozen=True)
class Evidence:
    """All that was written about the plan's variants; mappings by variant name, in tree order."""

    plan: Plan
    depth: Mapping[str, int]
    cards: Mapping[str, Card]
    reports: Mapping[str, Evaluation]
    timings: Mapping[str, Timing]
    bench: Bench
    chosen: Chosen


def in_tree_order(variants: Mapping[str, Variant], parent: str = "data", depth: int = 0) -> Iterator[tuple[str, int]]:
    """(name, depth) of every variant: each right after its parent or its elder siblings' descendants."""
    for name, variant in variants.items():
        if variant.parent == parent:
            yield name, depth
            yield from in_tree_order(variants, name, depth + 1)


def gather(plan: Plan) -> Evidence:
    """Read what the earlier steps wrote; ArtifactError for what is missing or is not of this plan."""
    depth = dict(in_tree_order(plan.variants))
    bench, chosen = artifact.read_json(artifact.BENCH, Bench), artifact.read_json(artifact.CHOSEN, Chosen)
    if set(chosen.candidates) != set(plan.variants) or chosen.reference != plan.choose.reference:
        raise ArtifactError(f"{artifact.CHOSEN}: made from another plan; `stillroom run` makes it anew")
    return Evidence(
        plan=plan,
        depth=depth,
        cards={name: artifact.read_json(artifact.variant_folder(name) / "card.json", Card) for name in depth},
        reports={name: artifact.read_json(artifact.evaluation_file(name), Evaluation) for name in depth},
        timings={name: bench.timing(name, plan.bench.first) for name in depth},
        bench=bench,
        chosen=chosen,
    )
