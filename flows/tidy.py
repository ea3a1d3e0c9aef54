"""Removes what rows that left the plan have left behind: the joins depend on whole folders, and would see it."""

import shutil

from tasks.core import artifact
from tasks.plan import Plan


def tidy(plan: Plan) -> list[str]:
    """Delete the artifacts and reports of rows that are not in the plan; their names. DVC's cache still holds them."""
    rows = {card.parent.name for card in artifact.ARTIFACTS.glob("*/card.json")}
    rows |= {report.stem for report in artifact.REPORTS.glob("*.json")}
    gone = sorted(rows - set(plan.variants))
    for name in gone:
        shutil.rmtree(artifact.variant_folder(name), ignore_errors=True)
        artifact.evaluation_file(name).unlink(missing_ok=True)
    return gone
