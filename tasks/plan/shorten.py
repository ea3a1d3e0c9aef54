"""The plan with its training shortened, for a rehearsal: same rows, same techniques, same forms, far fewer passes.

Only fields that say how long something goes on, or how boldly, are touched, by their names; a technique knows nothing
of it. What is judged by an accuracy or a latency is let through: nothing that trained for two passes over a handful of
rows would pass, and a brief benchmark is no judge. A bound on what does not depend on training stays.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

from pydantic import BaseModel

from tasks.core.contract import Params
from tasks.plan.schema import Plan

BRIEF: Final = {"rounds": 5, "round_ms": 1.0, "budget_s": 1.0, "precision": 0.9}  # of the bench
P = TypeVar("P", bound=BaseModel)
AT_MOST: Final = {
    "epochs": 2,
    "rewind_epochs": 1,
    "rounds": 2,
    "controls": 1,
    "trials": 4,
    "calibration_rows": 16,
    "lr": 0.01,  # a step size meant to climb for a thousand steps would throw a network off in two
    "sparsity": 0.5,  # of first weights, whose sizes tell layers apart by their width alone, more would empty one
}
LET_THROUGH: Final = {"accuracy_drop": 0.99, "accuracy_budget": 0.99}
TRAININGS: Final = ("rounds", "controls")  # beside `epochs`, each is one more training of as many epochs
KNOWN_AT_ONCE: Final = ("size_mb", "parameters", "macs")  # bounds of `choose` that no training will change


def shortened(block: P) -> P:
    """`block` and the blocks in it, shortened, and checked by their own rules again."""
    changed: dict[str, Any] = {}
    for name in type(block).model_fields:
        value = getattr(block, name)
        if isinstance(value, BaseModel):
            changed[name] = shortened(value)
        elif name in LET_THROUGH and isinstance(value, float):
            changed[name] = LET_THROUGH[name]
        elif name in AT_MOST and isinstance(value, int | float):
            changed[name] = min(value, AT_MOST[name])
    given = {name: getattr(block, name) for name in block.model_fields_set | set(changed)}
    return type(block).model_validate({**given, **changed})


def passes(block: BaseModel) -> int:
    """Passes over the train split that `block` and the blocks in it ask for; 0 when it trains nothing."""
    members = getattr(block, "members", 1)
    trainings = 1 + sum(getattr(block, name, 0) or 0 for name in TRAININGS)
    own = getattr(block, "epochs", 0) * trainings * (members if isinstance(members, int) else len(members))
    inner = (getattr(block, name) for name in type(block).model_fields)
    once = own or hasattr(block, "ramp")  # over which the rounds are spread, within one recovery
    again = 1 if once else getattr(block, "rounds", 1)
    return int(own) + again * sum(passes(value) for value in inner if isinstance(value, BaseModel))


def batch(block: BaseModel) -> int:
    """The most rows a step of training that `block` and the blocks in it ask for; 0 when it trains nothing."""
    inner = (getattr(block, name) for name in type(block).model_fields)
    own = getattr(block, "batch", 0) if hasattr(block, "epochs") else 0
    return max(own, *(batch(value) for value in inner if isinstance(value, BaseModel)), 0)


def trials(params: Params) -> int:
    """How many candidates a search looks at; 1 for what does not search."""
    return int(getattr(params, "trials", 1))


def short_plan(plan: Plan) -> dict[str, Any]:
    """plan.yaml's content with every row shortened, the bench as brief as it may be, and bounds that can be judged."""
    known = {name: bound for name, bound in plan.choose.at_most.items() if name in KNOWN_AT_ONCE}
    return {
        "seed": plan.seed,
        "threads": plan.threads,
        "data": _named(plan.data, "source"),
        "model": _named(plan.model, "arch"),
        "variants": {
            name: {"from": row.parent, "technique": row.technique} | shortened(row.params).model_dump(mode="json")
            for name, row in plan.variants.items()
        },
        "bench": plan.bench.model_dump(mode="json") | BRIEF,
        "choose": plan.choose.model_dump(mode="json") | {"at_most": known, "at_least": {}, "allow_collapse": True},
    }


def _named(block: BaseModel, key: str) -> dict[str, Any]:
    """A block that names a plug-in, as it stands in the file: the plug-in's own keys beside the house's."""
    plain = block.model_dump(mode="json")
    return {key: plain.pop(key), **plain.pop("params"), **plain}
