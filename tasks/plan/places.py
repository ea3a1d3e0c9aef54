"""The one variable that a plan may name: the folder of data sets, which is another on every machine."""

from __future__ import annotations

import os
from typing import Final

from tasks.plan.problems import Document

VARIABLE: Final = "STILLROOM_DATA"
PLACE: Final = f"${{{VARIABLE}}}"


def fill_in(doc: Document) -> None:
    """Put the folder in place of ${STILLROOM_DATA} in `data.path`, in place; a problem when the variable is not set.

    No other variable and no other key: what a row does must stand in the plan, and its card must be the same anywhere.
    """
    block = doc.value.get("data")
    path = block.get("path") if isinstance(block, dict) else None
    if not isinstance(block, dict) or not isinstance(path, str) or PLACE not in path:
        return
    folder = os.environ.get(VARIABLE, "")
    if folder:
        block["path"] = path.replace(PLACE, folder)
    else:
        hint = f"; `export {VARIABLE}=/folder/of/data/sets` first, or write the path out"
        doc.problem(("data", "path"), f"{PLACE}, which is not set", "a path, or a variable that is set", hint)
