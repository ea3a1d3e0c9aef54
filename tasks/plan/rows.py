"""The tree of variants: names, parents, techniques, loops, and chains whose forms do not fit."""

from __future__ import annotations

import re

from tasks.plan.blocks import check_params
from tasks.plan.plugs import names, plugin
from tasks.plan.problems import MISSING, Document, show
from tasks.plan.schema import ROOT, Variant
from tasks.plan.teachers import check_teachers

NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")  # a dot or an @ breaks DVC's addressing; the name is a folder's too


def check_rows(doc: Document) -> dict[str, Variant]:
    """The rows with parents before children; what is wrong is noted in `doc`, and then the result is not to be used."""
    raw = doc.value.get("variants", MISSING)
    if not isinstance(raw, dict) or not raw:
        doc.problem(("variants",), show(raw), "a mapping of at least two rows, one of them the reference")
        return {}
    parents: dict[str, str] = {}
    techniques: dict[str, str] = {}
    found: dict[str, Variant] = {}
    for name, row in raw.items():
        _check_name(doc, name)
        if not isinstance(row, dict):
            doc.problem(("variants", name), show(row), "a mapping with `from` and `technique`")
            continue
        parent = doc.choice(("variants", name, "from"), row.get("from", MISSING), (ROOT, *raw))
        technique = doc.choice(("variants", name, "technique"), row.get("technique", MISSING), names("techniques"))
        params = check_params(doc, name, technique) if technique else None
        if parent:
            parents[name] = parent
        if technique:
            techniques[name] = technique
        if parent and technique and params is not None:
            found[name] = Variant(name=name, parent=parent, technique=technique, params=params)
    in_loops = _check_loops(doc, parents)
    _check_forms(doc, {name: parent for name, parent in parents.items() if name not in in_loops}, techniques)
    ordered = {} if in_loops else {name: found[name] for name in _parents_first(parents) if name in found}
    check_teachers(doc, ordered)
    return ordered


def check_choice(doc: Document) -> None:
    """`choose.reference` is a row, and something is left to choose beside it."""
    rows, choose = doc.value.get("variants"), doc.value.get("choose")
    if not isinstance(rows, dict) or not rows or not isinstance(choose, dict) or "reference" not in choose:
        return  # told already, by the checks of these blocks
    reference = choose["reference"]
    if isinstance(reference, str):
        doc.choice(("choose", "reference"), reference, tuple(rows))
    if list(rows) == [reference]:
        doc.problem(("variants",), f"no row but the reference {show(reference)}", "at least one more, to choose from")


def _check_name(doc: Document, name: str) -> None:
    if name == ROOT:
        doc.problem(("variants", name), "the reserved name 'data'", "any other: `from: data` is the untrained network")
    elif not NAME.fullmatch(name):
        better = re.sub(r"[^a-z0-9_]+", "_", name.lower()).strip("_")[:64]
        hint = f"; for instance {better!r}" if NAME.fullmatch(better) else ""
        doc.problem(("variants", name), f"the name {show(name)}", "a-z, then a-z, 0-9 and _, at most 64", hint)


def _check_loops(doc: Document, parents: dict[str, str]) -> set[str]:
    """Note each loop once, at its first row; return the rows that are in one or hang from one."""
    looping: set[str] = set()
    seen: set[str] = set()
    for start in parents:
        trail: dict[str, None] = {}
        name = start
        while name in parents and name not in seen and name not in trail:
            trail[name] = None
            name = parents[name]
        if name in trail:
            loop = list(trail)[list(trail).index(name) :]
            first = min(loop, key=list(parents).index)
            turned = [*loop[loop.index(first) :], *loop[: loop.index(first)], first]
            doc.problem(("variants", first, "from"), f"a loop: {' -> '.join(turned)}", f"a chain that ends at {ROOT!r}")
        if name in trail or name in looping:
            looping |= trail.keys()
        seen |= trail.keys()
    return looping


def _check_forms(doc: Document, parents: dict[str, str], techniques: dict[str, str]) -> None:
    """A technique must be able to take what its parent is. Every trained torch variant has an ONNX file as well."""
    model = doc.value.get("model")
    untrainable = isinstance(model, dict) and model.get("arch") == "none"
    for name, parent in parents.items():
        if name not in techniques or (parent != ROOT and parent not in techniques):
            continue
        technique, path = techniques[name], ("variants", name, "from")
        takes = plugin("techniques", technique).TAKES
        if takes == "data" and parent != ROOT:
            doc.problem(path, f"`{parent}`", f"`{ROOT}`, where `{technique}` starts")
        elif takes == "torch" and parent == ROOT and untrainable:
            allowed = f"a row below a `model:` that can be trained, which `{technique}` needs"
            doc.problem(path, f"`{ROOT}`, with the model `none`", allowed, "; name an architecture in `model:`")
        elif takes == "onnx" and parent == ROOT:
            allowed = f"a trained parent, which `{technique}` needs"
            doc.problem(path, f"`{ROOT}`, the untrained network", allowed, ": put `train` or `load` before it")
        elif takes == "torch" and parent != ROOT and plugin("techniques", techniques[parent]).GIVES == "onnx":
            given = plugin("techniques", techniques[parent]).TAKES == "data"
            hint = "; a file of ONNX holds no network to train" if given else f": put `{technique}` before `{parent}`"
            allowed = f"a trainable parent, which `{technique}` needs"
            doc.problem(path, f"`{parent}`, which is ONNX", allowed, hint)
        elif takes == "onnx" and (instead := getattr(plugin("techniques", techniques[parent]), "LAST", "")):
            found = f"`{parent}`, of `{techniques[parent]}`, whose graph no technique takes"
            doc.problem(path, found, f"another parent for `{technique}`", f"; of `{parent}`: {instead}")


def _parents_first(parents: dict[str, str]) -> list[str]:
    """The rows in the file's order, save that a parent comes before its children. There must be no loop."""
    placed: dict[str, None] = {}
    for name in parents:
        chain: list[str] = []
        while name in parents and name not in placed:
            chain.append(name)
            name = parents[name]
        placed.update(dict.fromkeys(reversed(chain)))
    return list(placed)
