"""Which rows of the plan are current and which would be computed: asked of DVC, without running anything."""

import logging
from collections.abc import Iterator
from typing import Any

from flows.stages import stages
from tasks.core.errors import StillroomError
from tasks.plan import Plan


class StatusError(StillroomError):
    """DVC cannot tell what is current."""


def hush() -> None:
    """Keep DVC's warnings and progress bars, which go by its log level, off the terminal; importing DVC undoes it."""
    for name in ("dvc", "dvc_data", "dvc_objects"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def reasons(plan: Plan) -> dict[str, str]:
    """Why each stage would run, in a few words; current ones have no entry. A stage after a stale one is stale too."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    hush()
    try:
        status: dict[str, Any] = Repo().status()
    except DvcException as e:
        raise StatusError(f"{e}; `make init` makes a repository, `stillroom doctor` looks at the rest") from e
    found: dict[str, str] = {}
    for stage in stages(plan):
        if stage.name in status:
            said = list(dict.fromkeys(words(status[stage.name])))
            new = "params/plan.yaml new" in said  # DVC has never seen the stage, and calls all that it needs modified
            found[stage.name] = "never computed" if new else ", ".join(said) or "changed"
        stale = [need for need in stage.needs if need in found]
        if stale and (stage.name not in found or found[stage.name].startswith("needs")):
            found[stage.name] = f"after {stale[0]}"
    return found


def words(changes: list[Any]) -> Iterator[str]:
    """DVC's nested description of what changed, flattened to phrases such as `variants.student changed`."""
    for change in changes:
        if isinstance(change, str):
            yield change
            continue
        for kind, what in change.items():
            for path, how in what.items():
                if isinstance(how, dict):
                    yield from (f"{key} {state}" for key, state in how.items())
                elif kind == "changed outs":
                    yield "not built yet" if how == "deleted" else f"{path} {how}"
                elif how == "deleted":
                    yield f"needs {path}"
                else:
                    yield f"{path} {how}"
