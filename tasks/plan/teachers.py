"""Whom a row imitates: a network that has learnt nothing is no teacher."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.core.recipe import imitates, trains
from tasks.plan.plugs import names, plugin
from tasks.plan.problems import Document
from tasks.plan.schema import ROOT, Variant


def check_teachers(doc: Document, rows: Mapping[str, Variant]) -> None:
    """Note each of `rows`, parents before children, that would imitate the untrained network or what was made of it.

    Trained is what a row trains, what it reads from a file, and all that comes of it.
    """
    trained = {ROOT} if _brings_weights(doc.value.get("model")) else set()
    for name, row in rows.items():
        key = imitates(row.params)
        if key and row.parent not in trained and row.parent in (ROOT, *rows):
            found = f"`{ROOT}`, the untrained network" if row.parent == ROOT else f"`{row.parent}`, never trained"
            allowed = f"a trained parent, which `{row.technique}` imitates as long as {key} is above 0"
            doc.problem(("variants", name, "from"), found, allowed, ": put `train` or `load` before it")
        technique = plugin("techniques", row.technique)
        if row.parent in trained or trains(row.params) or getattr(technique, "READS_WEIGHTS", False):
            trained.add(name)


def _brings_weights(model: object) -> bool:
    """Whether `model:` names weights that it starts with, so that the network may have been trained elsewhere."""
    if not isinstance(model, dict) or model.get("arch") not in names("models"):
        return False
    key = getattr(plugin("models", model["arch"]), "WEIGHTS", None)
    return model.get(key) is not None
