"""How to make it all again: the plan as a person writes it, and how to see that the same file came out."""

from __future__ import annotations

from typing import Any

import yaml

from tasks.plan.schema import Plan, Variant


def plan_text(plan: Plan) -> str:
    """params/plan.yaml with nothing left to a default: read back, it is the same plan."""
    blocks = plan.model_dump(mode="json")
    for name in ("data", "model"):
        blocks[name] |= blocks[name].pop("params")
    blocks["variants"] = {name: _row(variant) for name, variant in plan.variants.items()}
    order = ("seed", "threads", "data", "model", "variants", "bench", "choose")
    return "".join(
        yaml.safe_dump({key: blocks[key]}, sort_keys=False, default_flow_style=None, width=110) for key in order
    )


def _row(variant: Variant) -> dict[str, Any]:
    return {"from": variant.parent, "technique": variant.technique, **variant.params.model_dump(mode="json")}
