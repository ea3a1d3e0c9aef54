"""How to make it all again: the plan as a person writes it, and how to see that the same file came out."""

from __future__ import annotations

import os
from typing import Any

import yaml

from tasks.plan.places import VARIABLE
from tasks.plan.schema import Plan, Variant


def plan_text(plan: Plan) -> str:
    """params/plan.yaml with nothing left to a default: read back, it is the same plan. Data keep their variable."""
    blocks = plan.model_dump(mode="json")
    for name in ("data", "model"):
        blocks[name] |= blocks[name].pop("params")
    blocks["variants"] = {name: _row(variant) for name, variant in plan.variants.items()}
    order = ("seed", "threads", "data", "model", "variants", "bench", "choose")
    ordered = {key: blocks[key] for key in order}
    text = yaml.safe_dump(ordered, sort_keys=False, default_flow_style=None, width=110)
    here = os.environ.get(VARIABLE)
    return text.replace(here, f"${{{VARIABLE}}}") if here else text


def _row(variant: Variant) -> dict[str, Any]:
    return {"from": variant.parent, "technique": variant.technique, **variant.params.model_dump(mode="json")}
