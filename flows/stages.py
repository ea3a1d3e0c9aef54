"""The plan as stages and what each needs: the same graph as dvc.yaml's, for the flow that runs it in parallel."""

from typing import NamedTuple

from tasks.plan import Plan


class Stage(NamedTuple):
    """One stage of dvc.yaml, by DVC's own name, and the stages that must be done before it."""

    name: str
    needs: tuple[str, ...]


def stages(plan: Plan) -> list[Stage]:
    """Every stage of the plan, each after the ones it needs."""
    found = [Stage("prepare", ())]
    for row in plan.variants.values():
        found.append(Stage(f"build@{row.name}", ("prepare",) if row.parent == "data" else (f"build@{row.parent}",)))
    reference = f"build@{plan.choose.reference}"
    for name in plan.variants:
        found.append(Stage(f"evaluate@{name}", tuple(dict.fromkeys((f"build@{name}", reference)))))
    evaluations = tuple(f"evaluate@{name}" for name in plan.variants)
    return [
        *found,
        Stage("bench", evaluations),  # last and alone: timings beside other work are worth nothing
        Stage("choose", ("bench",)),
        Stage("package", ("choose",)),
        Stage("report", ("package",)),
    ]
